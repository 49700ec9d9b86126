/* The C loop that papers/active_speed.py measures against: budgets of queries, decided by a small network.
   Build: cc -O3 -march=native -shared -fPIC, called through ctypes. Weights lie as the kernel's do: (in, out).
   Each decision makes the features of "flat_net/1" for the cuts of a line, two layers, the third for the queries alone,
   a softmax, a draw, and an answer; after the budget the whole third layer and a softmax say which cut is drawn. */
#include <math.h>
#include <string.h>
#include "xoshiro.h"

#define N 10
#define M (N + 1)
#define F (2 * N + M + 1)
#define H 96
#define OUT 24 /* N + M and padding */

static inline void add_product(const float *restrict x, int rows, const float *restrict w, int columns, float *restrict y) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) y[j] += x[i] * w[i * columns + j];
}

static inline void rectify(float *y, int n) {
  for (int j = 0; j < n; j++) y[j] = y[j] > 0 ? y[j] : 0;
}

static void forward(const float *w1, const float *b1, const float *w2, const float *b2, const float *w3, const float *b3,
                    const long *count, const double *total, double budget, float *out, double *scores) {
  float x[F], first[H], second[H];
  double best = -INFINITY, sum = 0;
  long t = 0;
  scores[0] = 0;
  for (int i = 0; i < N; i++) scores[i + 1] = sum += total[i];
  for (int k = 0; k < M; k++) best = scores[k] > best ? scores[k] : best;
  for (int i = 0; i < N; i++) {
    t += count[i];
    x[i] = (float)(0.25 * count[i]);
    x[N + i] = (float)(0.5 * total[i]);
  }
  for (int k = 0; k < M; k++) x[2 * N + k] = (float)(0.25 * (scores[k] - best));
  x[F - 1] = (float)(t / budget);
  memcpy(first, b1, sizeof first);
  add_product(x, F, w1, H, first);
  rectify(first, H);
  memcpy(second, b2, sizeof second);
  add_product(first, H, w2, H, second);
  rectify(second, H);
  memcpy(out, b3, OUT * sizeof *out);
  add_product(second, H, w3, OUT, out);
  for (int k = 0; k < M; k++) scores[k] += out[N + k];
}

static int draw(rng *r, const double *logits, int n) {
  double best = -INFINITY, total = 0, law[M];
  for (int i = 0; i < n; i++) best = logits[i] > best ? logits[i] : best;
  for (int i = 0; i < n; i++) total += law[i] = exp(logits[i] - best);
  double u = uniform(r) * total;
  for (int i = 0; i < n - 1; i++)
    if ((u -= law[i]) < 0) return i;
  return n - 1;
}

/* out: how often each cut was recommended, long[M] */
void play_out(const float *w1, const float *b1, const float *w2, const float *b2, const float *w3, const float *b3,
              const double *means, long budget, long rollouts, unsigned long long seed, long *out) {
  rng r;
  seed_rng(&r, seed);
  for (long k = 0; k < rollouts; k++) {
    long count[N] = {0};
    double total[N] = {0}, scores[M], logits[N];
    float raw[OUT];
    for (long t = 0; t < budget; t++) {
      forward(w1, b1, w2, b2, w3, b3, count, total, (double)budget, raw, scores);
      for (int i = 0; i < N; i++) logits[i] = raw[i];
      int i = draw(&r, logits, N);
      count[i]++;
      total[i] += uniform(&r) < 0.5 * (1 + means[i]) ? 1 : -1;
    }
    forward(w1, b1, w2, b2, w3, b3, count, total, (double)budget, raw, scores);
    out[draw(&r, scores, M)]++;
  }
}
