/* Random numbers of the C loops: xoshiro256++ of Blackman and Vigna, seeded by splitmix64. */
#include <stdint.h>

typedef struct { uint64_t s[4]; } rng;  /* xoshiro256++ */
static inline uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
static inline uint64_t next(rng *r) {
  uint64_t *s = r->s, o = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]; s[2] ^= t; s[3] = rotl(s[3], 45);
  return o;
}
static inline double uniform(rng *r) { return (double)(next(r) >> 11) * 0x1.0p-53; }
static void seed_rng(rng *r, uint64_t x) {
  for (int i = 0; i < 4; i++) {
    x += 0x9e3779b97f4a7c15ull;
    uint64_t z = x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    r->s[i] = z ^ (z >> 31);
  }
}
