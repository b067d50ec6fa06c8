"use strict";
const by = (id) => document.getElementById(id);
const MORE = "more_like_this";
const state = { about: null, task: null, source: null, asked: 0, items: [], waiting: null, trail: [] };

async function call(path, body, method) {
  const token = sessionStorage.getItem("token");
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { method: method || (body ? "POST" : "GET"), headers, body: body && JSON.stringify(body) });
  if (answer.status === 401) { await signIn(); return call(path, body, method); }
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(read.error || `the service answers ${answer.status}`);
  return read;
}

function signIn() {
  const dialog = by("sign");
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    sessionStorage.setItem("token", by("token").value.trim());
    done();
  }, { once: true }));
}

const words = (name) => name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
const known = (task) => Object.hasOwn(state.about.tasks, task);
const plain = () => Object.keys(state.about.tasks).find((task) => task === "home_feed")
  || Object.keys(state.about.tasks).find((task) => task !== "search" && task !== MORE) || Object.keys(state.about.tasks)[0];

function surface() {
  if (state.source && known(MORE)) return MORE;
  if (by("query").value.trim() && known("search")) return "search";
  return state.task || plain();
}

function question() {
  const task = surface(), query = by("query").value.trim();
  const asked = { user_id: by("user").value.trim() || null, task, limit: 24 };
  if (by("country").value) asked.country = by("country").value;
  if (state.source) asked.source_item_id = state.source.item_id;
  else if (query) asked.query = query;
  return asked;
}

async function ask() {
  const turn = ++state.asked, results = by("results");
  results.setAttribute("aria-busy", "true");
  drawTasks();
  try {
    const asked = question(), answer = await call("v1/recommend", asked);
    if (turn === state.asked) draw(asked, answer); // an answer to an earlier letter may come later
  } catch (error) {
    if (turn === state.asked) tell(error.message);
  }
  if (turn === state.asked) results.setAttribute("aria-busy", "false");
}

function soon() {
  clearTimeout(state.waiting);
  state.waiting = setTimeout(ask, 80);
}

function tell(text) {
  by("notice").textContent = text;
  by("notice").hidden = !text;
}

const RUNGS = {
  no_history: "The store of histories does not answer: these results do not know what you did.",
  two_tower: "The ranker does not answer: these results are in the order of retrieval.",
  cached: "The model does not answer: this is the last answer to the same question.",
  popular: "The model does not answer: this is what it shows to everyone.",
};

function draw(asked, answer) {
  tell(answer.degraded ? RUNGS[answer.degraded] || answer.degraded : "");
  by("title").textContent = state.source ? `More like ${state.source.title || state.source.item_id}`
    : asked.query ? `Results for “${asked.query}”` : words(asked.task);
  const filled = answer.imputed_query && answer.imputed_query !== asked.query ? ` · query filled in: “${answer.imputed_query}”` : "";
  by("about").textContent = `${state.about.tasks[asked.task] || words(asked.task)}${filled}`;
  by("back").hidden = !state.source && !state.trail.length;
  by("results").replaceChildren(...answer.items.map((item, position) => card(item, position, asked, answer)));
  if (!answer.items.length) {
    const none = document.createElement("li");
    none.className = "empty";
    none.textContent = "Nothing in the catalogue may answer this.";
    by("results").append(none);
  }
  drawTiming(answer);
}

function card(item, position, asked, answer) {
  const made = by("item").content.cloneNode(true), find = (name) => made.querySelector(`.${name}`);
  const heads = Object.entries(item.heads), [first] = heads;
  find("rank").textContent = position + 1;
  find("itemtitle").textContent = item.title || item.item_id;
  find("id").textContent = item.title ? item.item_id : "";
  find("chance").textContent = first ? `${words(first[0])} ${percent(first[1])}` : "";
  find("open").addEventListener("click", () => open(item));
  find("open").setAttribute("aria-label", `${item.title || item.item_id}: show more like this`);
  const like = find("like");
  like.textContent = "♡ Like";
  like.setAttribute("aria-pressed", "false");
  like.disabled = !asked.user_id;
  like.title = asked.user_id ? "Tell the service; it counts from the next request on" : "Choose a user first";
  like.addEventListener("click", () => tellLike(like, item, position, asked, answer));
  const why = find("why");
  for (const [name, chance] of heads) row(why, `${words(name)}, chance`, percent(chance), chance);
  row(why, "Score of the ranker", item.score.toFixed(3));
  row(why, "Score of retrieval", item.retrieval_score.toFixed(3));
  for (const [name, value] of Object.entries(item.quality)) row(why, `Quality: ${name.replaceAll("_", " ")}`, value.toFixed(3));
  if (answer.imputed_query) row(why, "Answered for", `“${answer.imputed_query}”`);
  row(why, "Release", `${answer.release} (${answer.label})${answer.degraded ? ", " + answer.degraded : ""}`);
  return made;
}

const percent = (chance) => `${(100 * chance).toFixed(1)} %`;

function row(list, name, text, share) {
  const term = document.createElement("dt"), value = document.createElement("dd");
  term.textContent = name;
  list.append(term);
  if (share !== undefined) {
    const meter = document.createElement("meter"), holder = document.createElement("dd");
    meter.value = share;
    meter.setAttribute("aria-label", name);
    holder.append(meter);
    list.append(holder);
  } else value.className = "wide";
  value.textContent = text;
  list.append(value);
}

function open(item) {
  state.trail.push({ source: state.source, query: by("query").value });
  state.source = item;
  by("query").value = "";
  ask().then(() => by("results").focus());
}

function back() {
  const before = state.trail.pop();
  state.source = before ? before.source : null;
  by("query").value = before ? before.query : "";
  ask();
}

async function tellLike(button, item, position, asked, answer) {
  try {
    const positive = state.about.likes[asked.task] || { event_type: "click" };
    await call("v1/events", { events: [{
      user_id: asked.user_id, item_id: item.item_id, task: asked.task, request_id: answer.request_id, position,
      event_type: positive.event_type, ...(positive.min_value == null ? {} : { value: positive.min_value }),
      ...(asked.query ? { query: asked.query } : {}), ...(asked.source_item_id ? { source_item_id: asked.source_item_id } : {}),
      ...(asked.country ? { country: asked.country } : {}),
    }] });
    button.setAttribute("aria-pressed", "true");
    button.textContent = "♥ Liked";
    button.disabled = true;
  } catch (error) { tell(error.message); }
}

function drawTiming(answer) {
  const spent = answer.timings_ms, stages = ["encode", "retrieve", "rank"].filter((name) => name in spent);
  const rest = Math.max(spent.total - stages.reduce((sum, name) => sum + spent[name], 0), 0);
  const parts = [...stages.map((name) => [name, spent[name]]), ["other", rest]];
  by("timing").replaceChildren(...parts.map(([name, time]) => {
    const part = document.createElement("span");
    part.className = name === "rank" ? "rankstage" : name;
    part.style.flexGrow = String(Math.max(time, 0.01));
    part.style.flexBasis = "0";
    part.textContent = time / spent.total > 0.12 ? `${name} ${time.toFixed(1)} ms` : "";
    part.title = `${name} ${time.toFixed(1)} ms`;
    return part;
  }));
  by("timing").setAttribute("aria-label", parts.map(([name, time]) => `${name} ${time.toFixed(1)} ms`).join(", "));
  by("facts").textContent = `${spent.total.toFixed(1)} ms in the service · release ${answer.release} (${answer.label}) · `
    + `${state.about.items.toLocaleString()} items · request ${answer.request_id}`;
}

function drawTasks() {
  const now = surface();
  by("tasks").replaceChildren(...Object.keys(state.about.tasks).map((task) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words(task);
    button.dataset.task = task;
    button.setAttribute("aria-pressed", String(task === now));
    button.disabled = task === MORE && !state.source;
    if (button.disabled) button.title = "Choose an item first";
    button.addEventListener("click", () => {
      if (task === "search") { by("query").focus(); return; }
      if (task === MORE) return;
      Object.assign(state, { task, source: null, trail: [] });
      by("query").value = "";
      ask();
    });
    return button;
  }));
}

async function suggestUsers() {
  try {
    const { users } = await call(`v1/users?limit=20&prefix=${encodeURIComponent(by("user").value.trim())}`);
    by("users").replaceChildren(...users.map((user) => Object.assign(document.createElement("option"), { value: user })));
  } catch { /* a token may read answers and not users: the field takes any text */ }
}

async function begin() {
  try {
    state.about = await call("v1/release");
  } catch (error) { tell(error.message); return; }
  const countries = state.about.countries.map((name) => Object.assign(document.createElement("option"), { value: name, textContent: name }));
  by("country").append(...countries);
  by("query").addEventListener("input", () => { state.source = null; state.trail = []; soon(); });
  by("ask").addEventListener("submit", (event) => { event.preventDefault(); ask().then(() => by("results").focus()); });
  by("user").addEventListener("input", () => { suggestUsers(); soon(); });
  by("country").addEventListener("change", ask);
  by("back").addEventListener("click", back);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) { event.preventDefault(); by("query").focus(); }
    if (event.key === "Escape" && !by("back").hidden && document.activeElement !== by("query")) back();
  });
  await suggestUsers();
  const first = by("users").querySelector("option");
  if (first && !by("user").value) by("user").value = first.value;
  ask();
}

begin();
