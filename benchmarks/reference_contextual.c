/* The C loops that contextual.py measures against. Plain loops, no -ffast-math, no BLAS.
   Build: cc -O3 -march=native -fopenmp-simd -shared -fPIC, call through ctypes. Each plays n steps and returns the total reward.
   Contexts x and rewards are tables made outside, of a power-of-two number of rows: mask = rows - 1, reward[row][action].
   These are the tables that our own loop plays on. */
#include <string.h>
#include <math.h>
#include "xoshiro.h"
#define D 32
#define K 10   /* arms of linucb_disjoint and squarecb */
#define M 100  /* actions of the loops with action features */

/* The pragma allows the compiler to add up in lanes, as our own kernels do by hand; nothing else is relaxed. */
static inline double dot(const double *restrict a, const double *restrict b) {
  double s = 0;
  #pragma omp simd reduction(+ : s)
  for (int i = 0; i < D; i++) s += a[i] * b[i];
  return s;
}

/* y = A x for a symmetric A: columns are added up, which vectorises without reordering a sum */
static inline void times(double *restrict y, const double *restrict A, const double *restrict x) {
  for (int i = 0; i < D; i++) y[i] = 0;
  for (int j = 0; j < D; j++)
    for (int i = 0; i < D; i++) y[i] += A[j * D + i] * x[j];
}

/* Sherman-Morrison: A becomes (A^-1 + x x')^-1, theta the ridge solution; v holds A x */
static inline void absorb(double *restrict A, double *restrict theta, const double *restrict v, double width,
                          double error) {
  double scale = 1.0 / (1.0 + width);
  for (int i = 0; i < D; i++) {
    double f = v[i] * scale;
    for (int j = 0; j < D; j++) A[i * D + j] -= f * v[j];
  }
  for (int i = 0; i < D; i++) theta[i] += v[i] * (scale * error);
}

/* (a) Disjoint LinUCB (Li et al. 2010, algorithm 1) with a ridge of 1: x[rows][D], reward[rows][K]. */
double linucb_disjoint(long n, const double *x, const double *reward, long mask, double alpha) {
  static double A[K][D * D], theta[K][D], v[K][D], width[K];
  double total = 0;
  memset(A, 0, sizeof A);
  memset(theta, 0, sizeof theta);
  for (int a = 0; a < K; a++)
    for (int i = 0; i < D; i++) A[a][i * D + i] = 1;
  for (long t = 0; t < n; t++) {
    const double *c = x + (t & mask) * D;
    int best = 0;
    double high = -1e300;
    for (int a = 0; a < K; a++) {
      times(v[a], A[a], c);
      width[a] = dot(c, v[a]);
      double score = dot(theta[a], c) + alpha * sqrt(width[a]);
      if (score > high) { high = score; best = a; }
    }
    double r = reward[(t & mask) * K + best];
    absorb(A[best], theta[best], v[best], width[best], r - dot(theta[best], c));
    total += r;
  }
  return total;
}

/* The decisions of (a) alone, on a state that stays as it is: x[n][D], A[K][D * D], theta[K][D], action[n]. */
void linucb_decide(long n, const double *x, const double *A, const double *theta, double alpha, int64_t *action) {
  double v[D];
  for (long t = 0; t < n; t++) {
    const double *c = x + t * D;
    double high = -1e300;
    for (int a = 0; a < K; a++) {
      times(v, A + a * D * D, c);
      double score = dot(theta + a * D, c) + alpha * sqrt(dot(c, v));
      if (score > high) { high = score; action[t] = a; }
    }
  }
}

/* Inverse gap weighting (Foster, Rakhlin 2020) over k scores; returns the action drawn */
static inline int inverse_gap(const double *restrict score, double *restrict p, int k, double gamma, double u) {
  int best = 0;
  for (int a = 1; a < k; a++)
    if (score[a] > score[best]) best = a;
  double top = score[best], others = 0;
  for (int a = 0; a < k; a++) p[a] = 1.0 / (k + gamma * (top - score[a]));
  p[best] = 0;
  for (int a = 0; a < k; a++) others += p[a];
  p[best] = 1 - others;
  double sum = 0;
  for (int a = 0; a < k; a++) {
    sum += p[a];
    if (u < sum) return a;
  }
  return best;
}

/* (b) SquareCB without context: the oracle is the mean of each arm; gamma = scale sqrt(t). reward[rows][K]. */
double squarecb(long n, const double *reward, long mask, double scale, uint64_t seed) {
  rng draws;
  seed_rng(&draws, seed);
  double q[K] = {0}, count[K] = {0}, p[K], total = 0;
  for (long t = 0; t < n; t++) {
    int a = inverse_gap(q, p, K, scale * sqrt(t + 1.0), uniform(&draws));
    double r = reward[(t & mask) * K + a];
    count[a] += 1;
    q[a] += (r - q[a]) / count[a];
    total += r;
  }
  return total;
}

/* (c) SquareCB over one ridge regression, M actions of D features each: x[rows][M][D], reward[rows][M]. */
double squarecb_actions(long n, const double *x, const double *reward, long mask, double scale, uint64_t seed) {
  rng draws;
  seed_rng(&draws, seed);
  static double A[D * D];
  double theta[D] = {0}, v[D], score[M], p[M], total = 0;
  memset(A, 0, sizeof A);
  for (int i = 0; i < D; i++) A[i * D + i] = 1;
  for (long t = 0; t < n; t++) {
    const double *c = x + (t & mask) * M * D;
    for (int a = 0; a < M; a++) score[a] = dot(theta, c + a * D);
    int a = inverse_gap(score, p, M, scale * sqrt(t + 1.0), uniform(&draws));
    double r = reward[(t & mask) * M + a];
    times(v, A, c + a * D);
    absorb(A, theta, v, dot(c + a * D, v), r - score[a]);
    total += r;
  }
  return total;
}
