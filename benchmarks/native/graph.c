/* The served graph alone, by TensorFlow's C API: encode and rank, as TF Serving runs them, with no Python in the loop.
 *
 *     graph SAVED_MODEL SCRIPT THREADS pool|caller ROUNDS
 *
 * SCRIPT holds the session's configuration, the tensors to feed and to fetch, and recorded requests (see graph.py, which
 * writes it). Each thread answers its share of the requests, ROUNDS times, after one round that is not counted; their
 * operations run in TensorFlow's pool of threads, or in the thread itself. Prints one line of JSON: milliseconds of
 * encoding and ranking, requests a second, processor milliseconds a request.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

typedef struct { TF_Output at; TF_Tensor *value; } Fed;
typedef struct { uint32_t count; Fed *fed; } Call;
typedef struct { Call encode, rank; } Request;

static FILE *script;
static TF_Graph *graph;
static TF_Session *session;
static uint32_t encoded_count, ranked_count, link_count, request_count;
static TF_Output *encoded, *ranked, *link_to;
static uint32_t *link_from;
static Request *requests;
static int threads, rounds;
static double *encode_ms, *rank_ms;
static TF_Buffer *in_caller;

static void take(void *into, size_t size) {
  if (size && fread(into, 1, size, script) != size) { fprintf(stderr, "the script ends early\n"); exit(1); }
}

static uint32_t number(void) { uint32_t value; take(&value, 4); return value; }

static char *text(uint32_t *length) {
  uint32_t size = number();
  char *value = malloc(size + 1);
  take(value, size);
  value[size] = 0;
  if (length) *length = size;
  return value;
}

static void require(TF_Status *status) {
  if (TF_GetCode(status) != TF_OK) { fprintf(stderr, "%s\n", TF_Message(status)); exit(1); }
}

static TF_Output place(void) {
  char *name = text(NULL), *colon = strrchr(name, ':');
  int index = colon ? atoi(colon + 1) : 0;
  if (colon) *colon = 0;
  TF_Output out = {TF_GraphOperationByName(graph, name), index};
  if (!out.oper) { fprintf(stderr, "the graph has no `%s`\n", name); exit(1); }
  free(name);
  return out;
}

static TF_Output *places(uint32_t *count) {
  TF_Output *out = malloc(sizeof(TF_Output) * (*count = number()));
  for (uint32_t i = 0; i < *count; i++) out[i] = place();
  return out;
}

static TF_Tensor *tensor(void) {
  TF_DataType type = (TF_DataType)number();
  int64_t shape[8], size = 1;
  int rank = (int)number();
  take(shape, 8 * rank);
  for (int i = 0; i < rank; i++) size *= shape[i];
  size_t each = type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(type);
  TF_Tensor *made = TF_AllocateTensor(type, shape, rank, size * each);
  if (type != TF_STRING) { take(TF_TensorData(made), size * each); return made; }
  TF_TString *cells = TF_TensorData(made);
  for (int64_t i = 0; i < size; i++) {
    uint32_t length;
    char *value = text(&length);
    TF_StringInit(&cells[i]);
    TF_StringCopy(&cells[i], value, length);
    free(value);
  }
  return made;
}

static Call call(void) {
  Call made = {number(), NULL};
  made.fed = malloc(sizeof(Fed) * made.count);
  for (uint32_t i = 0; i < made.count; i++) { made.fed[i].at = place(); made.fed[i].value = tensor(); }
  return made;
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e3 * t.tv_sec + t.tv_nsec / 1e6;
}

static void run(const TF_Output *in, TF_Tensor *const *given, int n, const TF_Output *out, TF_Tensor **got, int m) {
  TF_Status *status = TF_NewStatus();
  TF_SessionRun(session, in_caller, in, given, n, out, got, m, NULL, 0, NULL, status);
  require(status);
  TF_DeleteStatus(status);
}

static void answer(const Request *one, double *encode, double *rank) {
  TF_Output in[64];
  TF_Tensor *given[64], *states[64], *scores[64];
  uint32_t n = one->encode.count;
  for (uint32_t i = 0; i < n; i++) { in[i] = one->encode.fed[i].at; given[i] = one->encode.fed[i].value; }
  double begin = now(CLOCK_MONOTONIC);
  run(in, given, n, encoded, states, encoded_count);
  double middle = now(CLOCK_MONOTONIC);
  for (n = 0; n < link_count; n++) { in[n] = link_to[n]; given[n] = states[link_from[n]]; }
  for (uint32_t i = 0; i < one->rank.count; i++, n++) { in[n] = one->rank.fed[i].at; given[n] = one->rank.fed[i].value; }
  run(in, given, n, ranked, scores, ranked_count);
  *encode = middle - begin;
  *rank = now(CLOCK_MONOTONIC) - middle;
  for (uint32_t i = 0; i < encoded_count; i++) TF_DeleteTensor(states[i]);
  for (uint32_t i = 0; i < ranked_count; i++) TF_DeleteTensor(scores[i]);
}

static void *share(void *argument) {
  for (size_t i = (size_t)argument; i < (size_t)rounds * request_count; i += threads)
    answer(&requests[i % request_count], &encode_ms[i], &rank_ms[i]);
  return NULL;
}

static void all(int times) {
  pthread_t started[64];
  rounds = times;
  for (size_t t = 0; t < (size_t)threads; t++) pthread_create(&started[t], NULL, share, (void *)t);
  for (int t = 0; t < threads; t++) pthread_join(started[t], NULL);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print(const char *name, double *values, size_t count) {
  qsort(values, count, sizeof(double), by_size);
  printf("\"%s_ms\": {\"p50\": %.3f, \"p99\": %.3f}, ", name, values[count / 2], values[count * 99 / 100]);
}

int main(int count, char **arguments) {
  if (count != 6 || !(script = fopen(arguments[2], "rb"))) { fprintf(stderr, "see the head of graph.c\n"); return 1; }
  /* RunOptions with inter_op_thread_pool (field 3) of -1. */
  static const unsigned char run_in_caller[] = {0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
  if (!strcmp(arguments[4], "caller")) in_caller = TF_NewBufferFromString(run_in_caller, sizeof(run_in_caller));
  threads = atoi(arguments[3]);
  int times = atoi(arguments[5]);
  uint32_t size;
  char *config = text(&size);
  TF_Status *status = TF_NewStatus();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_SetConfig(options, config, size, status);
  require(status);
  graph = TF_NewGraph();
  const char *tags[] = {"serve"};
  double begin = now(CLOCK_MONOTONIC);
  session = TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph, NULL, status);
  require(status);
  double loaded = now(CLOCK_MONOTONIC) - begin;
  encoded = places(&encoded_count);
  ranked = places(&ranked_count);
  link_count = number();
  link_from = malloc(4 * link_count);
  link_to = malloc(sizeof(TF_Output) * link_count);
  for (uint32_t i = 0; i < link_count; i++) { link_from[i] = number(); link_to[i] = place(); }
  request_count = number();
  requests = malloc(sizeof(Request) * request_count);
  for (uint32_t i = 0; i < request_count; i++) { requests[i].encode = call(); requests[i].rank = call(); }
  size_t answers = (size_t)times * request_count;
  encode_ms = malloc(sizeof(double) * answers);
  rank_ms = malloc(sizeof(double) * answers);
  all(1);
  double wall = now(CLOCK_MONOTONIC), spent = now(CLOCK_PROCESS_CPUTIME_ID);
  all(times);
  wall = now(CLOCK_MONOTONIC) - wall;
  spent = now(CLOCK_PROCESS_CPUTIME_ID) - spent;
  printf("{");
  print("encode", encode_ms, answers);
  print("rank", rank_ms, answers);
  printf("\"requests_per_second\": %.1f, \"processor_ms_per_request\": %.3f, \"load_seconds\": %.2f}\n",
         1e3 * answers / wall, spent / answers, loaded / 1e3);
  return 0;
}
