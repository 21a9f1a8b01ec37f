import { defineConfig } from "vitest/config";

/**
 * Three projects: `unit` (fast, parallel), `integration` (real processes and files) and `faults` (long runs with kill -9).
 * The last two run one file at a time: they start daemons and measure processes, and a busy neighbour would hide a fault.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/integration/**", "test/faults/**", "test/interop/**", "test/packaging/**"],
          testTimeout: 60_000,
          // Most of them wait for files, processes or timers, and not for a processor.
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts", "test/interop/**/*.test.ts", "test/packaging/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "faults",
          include: ["test/faults/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
