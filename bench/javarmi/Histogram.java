/** Durations in nanoseconds, in the buckets of the harness's package hist: octaves of 64 parts each. */
final class Histogram {
    private static final int PRECISION = 6;
    private static final int PARTS = 1 << PRECISION;
    private static final int OCTAVES = 44 - PRECISION;

    private final long[] buckets = new long[(OCTAVES + 1) * PARTS];
    private long n;

    void record(long nanos) {
        n++;
        buckets[bucket(Math.max(nanos, 0))]++;
    }

    long n() {
        return n;
    }

    void add(Histogram other) {
        n += other.n;
        for (int i = 0; i < buckets.length; i++) {
            buckets[i] += other.buckets[i];
        }
    }

    long quantile(double q) {
        long rank = Math.min((long) (q * n), n - 1);
        long seen = 0;
        for (int i = 0; i < buckets.length; i++) {
            seen += buckets[i];
            if (seen > rank) {
                return middle(i);
            }
        }
        return 0;
    }

    private static int bucket(long v) {
        if (v < PARTS) {
            return (int) v;
        }
        int octave = 64 - Long.numberOfLeadingZeros(v) - PRECISION;
        if (octave > OCTAVES) {
            return (OCTAVES + 1) * PARTS - 1;
        }
        return octave * PARTS + (int) (v >>> (octave - 1)) - PARTS;
    }

    private static long middle(int i) {
        if (i < PARTS) {
            return i;
        }
        int octave = i / PARTS;
        return ((long) (i % PARTS + PARTS) << (octave - 1)) + (1L << (octave - 1)) / 2;
    }
}
