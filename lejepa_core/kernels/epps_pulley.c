/* The two hot loops of SIGReg on a CPU; see native.py for what the functions take and give.
 *
 * Vectors of 16 floats in the compilers' own extension, so that one source serves every instruction set and the order
 * of every sum is written here: results do not depend on the number of threads.
 *
 * KNOTS, the knots after the one at 0, comes from the compiler's command line. With m a multiple of 4 and l = 1..4,
 *     cos (m + l)θ = 2 cos mθ cos lθ - cos (m - l)θ,      sin (m + l)θ = 2 cos mθ sin lθ + sin (m - l)θ,
 * so sums over samples of cos mθ cos lθ and cos mθ sin lθ give all moments, and the gradient, a trigonometric
 * polynomial, is evaluated group by group: one multiplication per knot, sample and function.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LANES 16
#define GROUP 4
#define GROUPS ((KNOTS + GROUP - 1) / GROUP)
/* Vectors summed in float before they go into a double. */
#define FLUSH 32
/* Largest angle that the short range reduction is exact for. */
#define LARGEST 16384.0f

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint64_t longs __attribute__((vector_size(4 * LANES)));

static inline floats load(const float *p) { floats x; memcpy(&x, p, sizeof x); return x; }
static inline void store(float *p, floats x) { memcpy(p, &x, sizeof x); }
static inline floats all(float x) { return x - (floats){0}; }
static inline long padded(long n) { return (n + LANES - 1) / LANES * LANES; }
typedef float four __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(32)));
typedef int64_t places __attribute__((vector_size(32)));
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (places){__VA_ARGS__})
#endif
/* Four partial sums of the lanes. */
static inline doubles quarter(floats x) {
    typedef float eight __attribute__((vector_size(32)));
    eight halves[2];
    memcpy(halves, &x, sizeof x);
    eight half = halves[0] + halves[1];
    four quarters[2];
    memcpy(quarters, &half, sizeof half);
    return __builtin_convertvector(quarters[0] + quarters[1], doubles);
}
static inline doubles pairs(doubles x, doubles y) { return SHUFFLE(x, y, 0, 4, 2, 6) + SHUFFLE(x, y, 1, 5, 3, 7); }
/* Add to each number the sum of a vector's lanes; four vectors at a time, as one alone costs nearly as much. */
static inline void add_lanes(double *to, const floats *x, int count) {
    for (int k = 0; k < count; k += 4) {
        doubles d[4];
        for (int i = 0; i < 4; i++) d[i] = quarter(x[k + i < count ? k + i : count - 1]);
        doubles one = pairs(d[0], d[1]), two = pairs(d[2], d[3]);
        doubles sums = SHUFFLE(one, two, 0, 1, 4, 5) + SHUFFLE(one, two, 2, 3, 6, 7);
        for (int i = 0; i < 4 && k + i < count; i++) to[k + i] += sums[i];
    }
}
static inline int members(int group) { int left = KNOTS - group * GROUP; return left < GROUP ? left : GROUP; }

/* Near-minimax polynomials for half of x mod 2π, then the double angle. */
static inline void sine_cosine(floats x, floats *s, floats *c) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    floats q = (x * 0.15915494309189535f + magic) - magic;
    /* 2π in three parts, of which the first two times q are exact, with or without fused multiply-add. */
    floats r = ((x - q * 6.28125f) - q * 0.00193500518798828125f) - q * 3.0199159819e-7f;
    floats p = r * 0.5f, y = p * p;
    floats sp = y * 2.6051077384181553e-06f - 0.0001980901724891737f;
    sp = sp * y + 0.008333049714565277f;
    sp = sp * y - 0.16666658222675323f;
    sp = sp * y * p + p;
    floats cp = y * -2.6050656742881984e-07f + 2.4760109226917848e-05f;
    cp = cp * y - 0.0013888360699638724f;
    cp = cp * y + 0.04166663438081741f;
    cp = cp * y - 0.5f;
    cp = cp * y + 1.0f;
    *s = 2.0f * sp * cp;
    *c = 1.0f - 2.0f * sp * sp;
}

/* cos lθ, sin lθ for l = 1..4 and cos 4gθ. */
typedef struct { floats c[GROUP], s[GROUP], group[GROUPS]; } harmonics;

static inline harmonics harmonics_of(floats c, floats s) {
    harmonics h;
    h.c[0] = c; h.s[0] = s;
    h.c[1] = 1.0f - 2.0f * s * s; h.s[1] = 2.0f * s * c;
    h.c[2] = h.c[1] * c - h.s[1] * s; h.s[2] = h.s[1] * c + h.c[1] * s;
    h.c[3] = 1.0f - 2.0f * h.s[1] * h.s[1]; h.s[3] = 2.0f * h.s[1] * h.c[1];
    floats x = h.c[3], y = h.s[3];
#pragma GCC unroll 64
    for (int g = 1; g < GROUPS; g++) {
        h.group[g] = x;
        floats next = x * h.c[3] - y * h.s[3];
        y = y * h.c[3] + x * h.s[3];
        x = next;
    }
    return h;
}

/* cos hu and sin hu of a row, padded with u = 0. */
static void row_angles(const float *u, long n, float spacing, float *cosine, float *sine) {
    ints large = {0};
    for (long i = 0; i < n; i += LANES) {
        float rest[LANES] = {0};
        if (i + LANES > n) memcpy(rest, u + i, sizeof(float) * (n - i));
        floats theta = load(i + LANES > n ? rest : u + i) * spacing, s, c;
        large |= (theta > LARGEST) | (theta < -LARGEST);
        sine_cosine(theta, &s, &c);
        store(cosine + i, c);
        store(sine + i, s);
    }
    int any = 0;
    for (int j = 0; j < LANES; j++) any |= large[j];
    if (any)
        for (long i = 0; i < n; i++) { cosine[i] = cosf(u[i] * spacing); sine[i] = sinf(u[i] * spacing); }
}

/* Sums over the row of cos kθ and sin kθ, k = 0..KNOTS. The last harmonics are kept, all of them where `keeps` says so. */
static void row_moments(const float *cosine, const float *sine, long n, double *cosines, double *sines,
                        harmonics *kept) {
    double p[KNOTS] = {0}, q[KNOTS] = {0};
    for (long start = 0; start < n; start += FLUSH * LANES) {
        long stop = start + FLUSH * LANES < n ? start + FLUSH * LANES : n;
        floats a[KNOTS], b[KNOTS];
        for (int k = 0; k < KNOTS; k++) a[k] = b[k] = all(0);
        /* Two loops, since all sums at once would not fit into the registers. */
        for (long i = start; i < stop; i += LANES) {
            harmonics t = kept[(i - start) / LANES] = harmonics_of(load(cosine + i), load(sine + i));
#pragma GCC unroll 64
            for (int g = 0; g < GROUPS; g++)
#pragma GCC unroll 4
                for (int l = 0; l < members(g); l++) a[g * GROUP + l] += g ? t.group[g] * t.c[l] : t.c[l];
        }
        for (long i = start; i < stop; i += LANES) {
            const harmonics t = kept[(i - start) / LANES];
#pragma GCC unroll 64
            for (int g = 0; g < GROUPS; g++)
#pragma GCC unroll 4
                for (int l = 0; l < members(g); l++) b[g * GROUP + l] += g ? t.group[g] * t.s[l] : t.s[l];
        }
        add_lanes(p, a, KNOTS);
        add_lanes(q, b, KNOTS);
    }
    double extra = (double)(padded(n) - n);
    cosines[0] = padded(n);
    sines[0] = 0;
    for (int g = 0; g < GROUPS; g++)
        for (int l = 1; l <= members(g); l++) {
            int k = g * GROUP + l;
            cosines[k] = g ? 2 * p[k - 1] - cosines[g * GROUP - l] : p[k - 1];
            sines[k] = g ? 2 * q[k - 1] + sines[g * GROUP - l] : q[k - 1];
        }
    for (int k = 0; k <= KNOTS; k++) cosines[k] -= extra;
}

static inline int keeps(long n) { return n <= FLUSH * LANES; }

/* Σ_k a_k sin kθ + b_k cos kθ, k = 1..KNOTS, for each sample of a row; a and b have KNOTS + 1 entries and are spent. */
static inline void row_gradient(float *out, long n, const float *cosine, const float *sine, const harmonics *kept,
                                double *a, double *b) {
    float of_sine[KNOTS], of_cosine[KNOTS];
    a[0] = b[0] = 0;
    for (int g = GROUPS - 1; g >= 0; g--)
        for (int l = members(g); l >= 1; l--) {
            int k = g * GROUP + l;
            of_sine[k - 1] = g ? 2 * a[k] : a[k];
            of_cosine[k - 1] = g ? 2 * b[k] : b[k];
            if (g) { a[g * GROUP - l] += a[k]; b[g * GROUP - l] -= b[k]; }
        }
    floats constant = all(b[0]);
    for (long i = 0; i < n; i += LANES) {
        harmonics t = kept ? kept[i / LANES] : harmonics_of(load(cosine + i), load(sine + i));
        floats sum = constant;
#pragma GCC unroll 64
        for (int g = 0; g < GROUPS; g++) {
            floats part = of_sine[g * GROUP] * t.s[0] + of_cosine[g * GROUP] * t.c[0];
#pragma GCC unroll 4
            for (int l = 1; l < members(g); l++) {
                part += of_sine[g * GROUP + l] * t.s[l];
                part += of_cosine[g * GROUP + l] * t.c[l];
            }
            sum += g ? t.group[g] * part : part;
        }
        if (i + LANES <= n) store(out + i, sum);
        else { float rest[LANES]; store(rest, sum); memcpy(out + i, rest, sizeof(float) * (n - i)); }
    }
}

void lejepa_moments(const float *u, long first, long rows, long n, float *scratch, float spacing, double *out) {
    harmonics kept[FLUSH];
    for (long r = first; r < first + rows; r++) {
        double c[KNOTS + 1], s[KNOTS + 1];
        row_angles(u + r * n, n, spacing, scratch, scratch + padded(n));
        row_moments(scratch, scratch + padded(n), n, c, s, kept);
        memcpy(out + r * 2 * KNOTS, c + 1, sizeof(double) * KNOTS);
        memcpy(out + (r * 2 + 1) * KNOTS, s + 1, sizeof(double) * KNOTS);
    }
}

void lejepa_gradient(float *u, long first, long rows, long n, float *scratch, float spacing, const double *coefficients) {
    for (long r = first; r < first + rows; r++) {
        double a[KNOTS + 1], b[KNOTS + 1];
        memcpy(a + 1, coefficients + r * 2 * KNOTS, sizeof(double) * KNOTS);
        memcpy(b + 1, coefficients + (r * 2 + 1) * KNOTS, sizeof(double) * KNOTS);
        row_angles(u + r * n, n, spacing, scratch, scratch + padded(n));
        row_gradient(u + r * n, n, scratch, scratch + padded(n), 0, a, b);
    }
}

void lejepa_statistic(float *u, long first, long rows, long n, float *scratch, float spacing, const double *phi,
                      const double *weight, double scale, int gradient, double *out) {
    harmonics kept[FLUSH];
    for (long r = first; r < first + rows; r++) {
        double c[KNOTS + 1], s[KNOTS + 1], total = 0, share = 1.0 / n;
        row_angles(u + r * n, n, spacing, scratch, scratch + padded(n));
        row_moments(scratch, scratch + padded(n), n, c, s, kept);
        for (int k = 1; k <= KNOTS; k++) {
            double gap = c[k] * share - phi[k - 1], odd = s[k] * share, slope = 2 * weight[k - 1] * spacing * k * scale;
            total += weight[k - 1] * (gap * gap + odd * odd);
            c[k] = slope * odd;
            s[k] = -slope * gap;
        }
        out[r] = n * total;
        if (gradient && keeps(n)) row_gradient(u + r * n, n, scratch, scratch + padded(n), kept, s, c);
        else if (gradient) row_gradient(u + r * n, n, scratch, scratch + padded(n), 0, s, c);
    }
}

/* log x for x in [2^-24, 1]: exponent, and a near-minimax polynomial on [√½, √2]. */
static inline floats logarithm(floats x) {
    ints bits;
    memcpy(&bits, &x, sizeof x);
    ints exponent = (bits - 0x3f3504f3) >> 23;
    bits -= exponent << 23;
    memcpy(&x, &bits, sizeof x);
    floats r = x - 1.0f, q = r * -0.079027459025383f + 0.12622320652008057f;
    q = q * r - 0.12998183071613312f;
    q = q * r + 0.14214496314525604f;
    q = q * r - 0.166412815451622f;
    q = q * r + 0.20001044869422913f;
    q = q * r - 0.25000306963920593f;
    q = q * r + 0.3333333134651184f;
    return __builtin_convertvector(exponent, floats) * 0.6931471805599453f + (r - 0.5f * r * r + r * r * r * q);
}

/* Products of the lower halves; compilers take a slower instruction that multiplies all of both. */
#ifdef __AVX512F__
static inline longs product(longs a, uint32_t by) { return (longs)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(by)); }
#else
static inline longs product(longs a, uint32_t by) { return (a & 0xffffffffull) * (uint64_t)by; }
#endif

static inline void multiply(words a, uint32_t by, words *high, words *low) {
    longs pairs;
    memcpy(&pairs, &a, sizeof a);
    longs even = product(pairs, by), odd = product(pairs >> 32, by);
    longs above = even >> 32 | (odd & 0xffffffff00000000ull), below = (even & 0xffffffffull) | odd << 32;
    memcpy(high, &above, sizeof a);
    memcpy(low, &below, sizeof a);
}

static inline floats root(floats x) {
    for (int i = 0; i < LANES; i++) x[i] = sqrtf(x[i]);
    return x;
}

void lejepa_directions(float *out, long first, long rows, long dims, float *scratch, uint32_t key0, uint32_t key1,
                       uint32_t step0, uint32_t step1) {
    /* 2^-23; half a unit more keeps every number off 0, and a direction of one dim with it. */
    const float unit = 1.1920928955078125e-07f;
    words ramp;
    for (int i = 0; i < LANES; i++) ramp[i] = i;
    for (long r = first; r < first + rows; r++) {
        for (long d = 0; d < dims; d += 4 * LANES) {
            words w[4] = {ramp + (uint32_t)(d / 4), (words){0} + (uint32_t)r, (words){0} + step0, (words){0} + step1};
            uint32_t k0 = key0, k1 = key1;
#pragma GCC unroll 10
            for (int i = 0; i < 10; i++) {
                words high0, low0, high1, low1;
                multiply(w[0], 0xD2511F53u, &high0, &low0);
                multiply(w[2], 0xCD9E8D57u, &high1, &low1);
                w[0] = high1 ^ w[1] ^ k0; w[2] = high0 ^ w[3] ^ k1; w[1] = low1; w[3] = low0;
                k0 += 0x9E3779B9u; k1 += 0xBB67AE85u;
            }
            for (int j = 0; j < 4; j += 2) {
                floats first = (__builtin_convertvector((ints)(w[j] >> 9), floats) + 0.5f) * unit;
                floats second = (__builtin_convertvector((ints)w[j + 1] >> 9, floats) + 0.5f) * unit;
                floats s, c, radius = root(-2.0f * logarithm(first));
                sine_cosine(second * 6.2831853071795865f, &s, &c);
                store(scratch + d + j * LANES, radius * c);
                store(scratch + d + (j + 1) * LANES, radius * s);
            }
        }
        floats sum = all(0);
        for (long d = dims; d < padded(dims); d++) scratch[d] = 0;
        for (long d = 0; d < dims; d += LANES) sum += load(scratch + d) * load(scratch + d);
        double square = 0;
        add_lanes(&square, &sum, 1);
        float inverse = 1 / sqrt(square);
        for (long d = 0; d < dims; d++) out[r * dims + d] = scratch[d] * inverse;
    }
}
