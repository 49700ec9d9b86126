/* The C loops that papers/streaming.py measures against: two rules on a stream of Bernoulli arms that come once.
   Plain loops. Build: cc -O3 -march=native -shared -fPIC, call through ctypes.
   Each run reads `arms` arms, whose means are uniform on [0, 1], one exact binomial draw for each batch of pulls, and
   returns the pseudo-regret of `trials` pulls: those that explore, and all others on the arm that is kept. */
#include <math.h>
#include "xoshiro.h"

/* ln k! less Stirling's first terms: 1/(12(k+1)) - ..; from a table for small k */
static inline double stirling_rest(double k) {
  static const double table[] = {0.0810614667953272,  0.0413406959554092,  0.0276779256849983, 0.02079067210376509,
                                 0.0166446911898211,  0.0138761288230707,  0.0118967099458917, 0.0104112652619720,
                                 0.00925546218271273, 0.00833056343336287};
  if (k <= 9) return table[(int)k];
  double x = 1 / ((k + 1) * (k + 1));
  return (1.0 / 12 - (1.0 / 360 - x / 1260) * x) / (k + 1);
}

/* n p < 10: inversion, from 0 upwards */
static double binomial_small(rng *r, double n, double p) {
  double odds = p / (1 - p), none = exp(n * log1p(-p));
  for (;;) {
    double u = uniform(r), q = none;
    for (double k = 0; k <= n && k <= 110; k++) {
      if (u < q) return k;
      u -= q;
      q *= (n - k) * odds / (k + 1);
    }
  }
}

/* n p >= 10, p <= 1/2: BTRS of Hoermann, "The generation of binomial random variates", 1993 */
static double binomial_large(rng *r, double n, double p) {
  double deviation = sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p;
  double c = n * p + 0.5, squeeze = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * deviation;
  double odds = p / (1 - p), m = floor((n + 1) * p);
  for (;;) {
    double u = uniform(r) - 0.5, v = 1 - uniform(r), side = 0.5 - fabs(u);
    double k = floor((2 * a / side + b) * u + c);
    if (side >= 0.07 && v <= squeeze) return k;
    if (k < 0 || k > n) continue;
    double bound = (m + 0.5) * log((m + 1) / (odds * (n - m + 1))) + (n + 1) * log((n - m + 1) / (n - k + 1)) +
                   (k + 0.5) * log(odds * (n - k + 1) / (k + 1)) + stirling_rest(m) + stirling_rest(n - m) -
                   stirling_rest(k) - stirling_rest(n - k);
    if (log(v * alpha / (a / (side * side) + b)) <= bound) return k;
  }
}

static inline double binomial(rng *r, double n, double p) {
  double q = p < 0.5 ? p : 1 - p, k = n * q < 10 ? binomial_small(r, n, q) : binomial_large(r, n, q);
  return p <= 0.5 ? k : n - k;
}

/* What the pulls so far would have earned, and the best mean of all arms */
typedef struct { double pulls, earned, best; } account;
static inline double regret(const account *a, double trials, double kept) {
  return a->best * a->pulls - a->earned + (trials - a->pulls) * (a->best - kept);
}
static inline double batch(rng *r, account *a, double n, double mean) {
  a->pulls += n;
  a->earned += n * mean;
  return binomial(r, n, mean);
}

/* Uniform exploration: u (ln T)^(1/3) pulls of each arm, u = (T / K)^(2/3) */
double uniform_exploration(long arms, double trials, uint64_t seed) {
  rng r;
  seed_rng(&r, seed);
  account a = {0, 0, -1};
  double root = cbrt(trials / arms), pulls = root * root * cbrt(log(trials)), record = -1, kept = 0;
  if (pulls * arms > trials) pulls = trials / (3.0 * arms);
  pulls = ceil(pulls);
  for (long i = 0; i < arms; i++) {
    double mean = uniform(&r);
    if (mean > a.best) a.best = mean;
    double found = batch(&r, &a, pulls, mean) / pulls;
    if (found > record) { record = found; kept = mean; }
  }
  return regret(&a, trials, kept);
}

/* Early drop: batches of 8, 16, .. up to 4 u pulls, and as many again where arms before left them over; out as soon as
   mean + sqrt(ln K / (4 n)) is below the record */
double early_drop(long arms, double trials, uint64_t seed) {
  rng r;
  seed_rng(&r, seed);
  account a = {0, 0, -1};
  double root = cbrt(trials / arms), share = 4 * root * root, spare = 0, record = -1, kept = 0, log_arms = log((double)arms);
  if (share > trials / (3.0 * arms)) share = trials / (3.0 * arms);
  share = fmax(ceil(share), 1);
  for (long i = 0; i < arms; i++) {
    double mean = uniform(&r), n = 0, total = 0, most = share + fmin(share, spare);
    if (mean > a.best) a.best = mean;
    for (;;) {
      double more = i == 0 ? most : fmin(most - n, fmax(8, n));
      total += batch(&r, &a, more, mean);
      n += more;
      if (n >= most) {
        if (total / n > record) { record = total / n; kept = mean; }
        break;
      }
      if (total / n + sqrt(log_arms / (4 * n)) < record) break;
    }
    spare += share - n;
  }
  return regret(&a, trials, kept);
}
