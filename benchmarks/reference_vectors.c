/* The C loops that papers/oomd_speed.py measures against: optimistic mirror descent in the unit ball, and the ensemble.
   Plain loops. Build: cc -O3 -march=native -shared -fPIC, call through ctypes.
   Each round takes the next row of a table as the gradient of a linear loss, and does what a round of ours does: a point
   from the hint, its loss, the secondary point, the sums that the step and the certificate follow from. */
#include <math.h>
#include <string.h>

#define D 10
#define N_MAX 32

/* steps ahead from `from` along `along`, and back into the ball */
static inline void land(const double *from, const double *along, double eta, double *to) {
  double square = 0;
  for (int j = 0; j < D; j++) {
    to[j] = from[j] - eta * along[j];
    square += to[j] * to[j];
  }
  if (square > 1) {
    double scale = 1 / sqrt(square);
    for (int j = 0; j < D; j++) to[j] *= scale;
  }
}

/* eta = 2 / sqrt(14 G^2 + 8 V), G the largest gradient so far; out: loss, certificate, V */
void optimistic_omd(const double *table, long mask, long rounds, double *out) {
  double y[D] = {0}, hint[D] = {0}, x[D], next[D];
  double largest = 0, variation = 0, proven = 0, loss = 0, eta = 1;
  for (long t = 0; t < rounds; t++) {
    const double *g = table + (t & mask) * D;
    eta = largest > 0 ? 2 / sqrt(14 * largest + 8 * variation) : 1;
    land(y, hint, eta, x);
    double square = 0, error = 0, paid = 0;
    for (int j = 0; j < D; j++) {
      double wrong = g[j] - hint[j];
      square += g[j] * g[j];
      error += wrong * wrong;
      paid += g[j] * x[j];
    }
    loss += paid;
    if (t == 0) eta = 2 / sqrt(14 * square);
    land(y, g, eta, next);
    double ahead = 0, moved = 0;
    for (int j = 0; j < D; j++) {
      ahead += g[j] * (x[j] - next[j]);
      moved += (next[j] - y[j]) * (next[j] - y[j]);
      y[j] = next[j];
      hint[j] = g[j];
    }
    proven += ahead - moved / (2 * eta);
    largest = fmax(largest, fmax(square, 0.25 * error));
    variation += error;
  }
  out[0] = loss;
  out[1] = proven + 2 / eta;
  out[2] = variation;
}

/* n learners with steps eta[], mixed by an optimistic Hedge; out: loss, certificate, V */
void optimistic_ensemble(const double *table, long mask, long rounds, const double *eta, long n, double smoothness,
                         double *out) {
  double y[N_MAX][D] = {{0}}, before[N_MAX][D], ahead[N_MAX][D], lost[N_MAX] = {0}, proven[N_MAX] = {0};
  double weight[N_MAX], charge[N_MAX], hint[D] = {0}, x[D], next[D];
  double variation = 0, loss = 0;
  for (long t = 0; t < rounds; t++) {
    const double *g = table + (t & mask) * D;
    double lowest = INFINITY;
    for (long i = 0; i < n; i++) {
      land(y[i], hint, eta[i], ahead[i]);
      double expected = 0, square = 0;
      for (int j = 0; j < D; j++) {
        double moved = ahead[i][j] - before[i][j];
        expected += hint[j] * ahead[i][j];
        square += moved * moved;
      }
      charge[i] = t ? 2 * smoothness * square : 0;
      weight[i] = lost[i] + expected + charge[i];
      lowest = fmin(lowest, weight[i]);
    }
    double rate = fmin(1 / (32 * smoothness), sqrt(log((double)n) / (1 + 4 * variation))), total = 0, paid = 0, error = 0;
    memset(x, 0, sizeof x);
    for (long i = 0; i < n; i++) total += weight[i] = exp(-rate * (weight[i] - lowest));
    for (long i = 0; i < n; i++)
      for (int j = 0; j < D; j++) x[j] += weight[i] / total * ahead[i][j];
    for (int j = 0; j < D; j++) paid += g[j] * x[j];
    loss += paid;
    for (long i = 0; i < n; i++) {
      double of = charge[i], gained = 0, moved = 0;
      land(y[i], g, eta[i], next);
      for (int j = 0; j < D; j++) {
        of += g[j] * ahead[i][j];
        before[i][j] = ahead[i][j];
        gained += g[j] * (x[j] - next[j]);
        moved += (next[j] - y[i][j]) * (next[j] - y[i][j]);
        y[i][j] = next[j];
      }
      lost[i] += of;
      proven[i] += gained - moved / (2 * eta[i]);
    }
    for (int j = 0; j < D; j++) {
      error += (g[j] - hint[j]) * (g[j] - hint[j]);
      hint[j] = g[j];
    }
    variation += error;
  }
  double least = INFINITY;
  for (long i = 0; i < n; i++) least = fmin(least, proven[i] + 2 / eta[i]);
  out[0] = loss;
  out[1] = least;
  out[2] = variation;
}
