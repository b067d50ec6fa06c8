"""The style sheet of the report: light and dark, phone and print.

Colours are variables, which the plots use too.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2330; --soft: #5b6575; --line: #dde1e8;
  --model: #2459c9; --baseline: #a9b2c1; --bad: #b3261e; --bad-page: #fdecea; --good: #1b6e3c;
  --good-page: #e7f5ec; --mark: #7a5200; --mark-page: #fff3d6;
  --series-1: #2459c9; --series-2: #c2410c; --series-3: #15803d; --series-4: #9333ea; --series-5: #0e7490;
  --series-6: #a16207;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1b2029; --ink: #e6e9ef; --soft: #9aa5b6; --line: #323a48;
    --model: #7aa7ff; --baseline: #5a6579; --bad: #ff8a80; --bad-page: #3a1d1d; --good: #7ddc9f;
    --good-page: #17301f; --mark: #ffd479; --mark-page: #3a2f14;
    --series-1: #7aa7ff; --series-2: #ff9e66; --series-3: #7ddc9f; --series-4: #d0a2ff; --series-5: #6fd3e6;
    --series-6: #e6c15c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 62rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 0; font-size: 1.25rem; line-height: 1.3; }
h3 { margin: 1.6rem 0 0; font-size: 1rem; }
p { margin: .5rem 0; }
a { color: var(--model); }
.soft { color: var(--soft); }
.card, .alert { margin-top: 1rem; padding: 1rem 1.1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .7rem; }
.alert { border-left-width: .35rem; }
.alert h2 { font-size: 1.05rem; }
.alert td, .alert th { border-color: color-mix(in srgb, var(--ink) 15%, transparent); }
.alert td > span { font-weight: 600; }
.alert.bad { background: var(--bad-page); border-color: var(--bad); }
.alert.bad h2, .below > span { color: var(--bad); }
.alert.good { background: var(--good-page); border-color: var(--good); }
.alert.good h2 { color: var(--good); }
.alert.mark { background: var(--mark-page); border-color: var(--mark); }
.alert.mark h2 { color: var(--mark); }
.heading { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .7rem; }
.badge { padding: .05rem .55rem; border-radius: 1rem; font-size: .8rem; font-weight: 600; color: var(--mark);
  background: var(--mark-page); border: 1px solid var(--mark); }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin-top: .8rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .7rem 1.2rem;
  margin: .9rem 0 0; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .4rem -1.1rem 0; padding: 0 1.1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.caption { margin: .3rem 0 0; color: var(--soft); font-size: .85rem; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap;
  vertical-align: top; }
th { font-weight: 600; }
thead th { color: var(--soft); font-size: .8rem; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tbody th { font-weight: 400; white-space: normal; min-width: 5rem; }
tr.model th:first-child { font-weight: 700; color: var(--model); }
tr.first-baseline > * { border-top: 2px solid var(--line); }
td small, th small { display: block; color: var(--soft); font-size: .75rem; }
td.best { font-weight: 700; }
td.best small, th small { font-weight: 400; }
td.below > span::after { content: "\\2009\\25BE"; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr));
  gap: .8rem 1.4rem; margin-top: 1rem; }
.plot { display: block; width: 100%; max-width: 29rem; height: auto; }
.plot text { font-family: inherit; }
.plot * { stroke-linejoin: round; }
details { margin-top: .8rem; }
summary { cursor: pointer; color: var(--model); }
.meter { display: inline-block; width: 7rem; height: .6rem; border-radius: .3rem; background: var(--line); }
.meter i { display: block; height: 100%; border-radius: .3rem; background: var(--model); }
@media (max-width: 34rem) {
  body { padding: .8rem .6rem 2rem; font-size: 14px; }
  .card, .alert { padding: .8rem .8rem; }
  .scroll { margin: .6rem -.8rem 0; padding: 0 .8rem; }
  th, td { padding: .3rem .3rem; }
  td small, thead th { white-space: normal; }
  tbody th { min-width: 4.5rem; }
  table { font-size: .92em; }
  dl { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
  .meter { width: 3.5rem; }
}
@media print {
  :root {
    --page: #ffffff; --card: #ffffff; --ink: #000000; --soft: #444444; --line: #cccccc; --model: #2459c9;
    --baseline: #a9b2c1; --bad: #b3261e; --bad-page: #ffffff; --good: #1b6e3c; --good-page: #ffffff;
    --mark: #7a5200; --mark-page: #ffffff;
  }
  html { font-size: 11px; }
  body { max-width: none; padding: 0; font-size: 1rem; }
  nav { display: none; }
  .card { border: 0; padding: .4rem 0; }
  .scroll { overflow: visible; margin: .4rem 0 0; padding: 0; }
  .plots { grid-template-columns: repeat(2, 1fr); }
  th, td { padding: .2rem .35rem; }
  tr, .plots, .alert { break-inside: avoid; }
  h2, h3, .heading, .caption { break-after: avoid; }
}
"""
