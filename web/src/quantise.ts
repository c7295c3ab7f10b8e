/** Rounding of latents to symbols by rate and distortion, as in vaecodec/coding/quantise.py. */
import type { Table } from "./model.js";

const BITS_PER_SQUARED_ERROR = 8.66,
  STRENGTH = 0.1,
  LARGEST_SHIFT = 0.35,
  MAGNITUDES = 16;

/** How far the thresholds between a magnitude and the one below it move away from zero: (tables, 17). */
export function thresholdShifts(tables: Table[]): Float32Array {
  const shifts = new Float32Array(tables.length * (MAGNITUDES + 1));
  tables.forEach(({ radius, firsts }, index) => {
    const bits = (magnitude: number) => -Math.log2(firsts[radius + magnitude + 1]! - firsts[radius + magnitude]!);
    const known = Math.min(radius, MAGNITUDES),
      at = index * (MAGNITUDES + 1);
    for (let magnitude = 1; magnitude <= MAGNITUDES; magnitude++) {
      const nearest = Math.min(magnitude, known);
      const worth = nearest ? (bits(nearest) - bits(nearest - 1)) / (2 * BITS_PER_SQUARED_ERROR) : 0;
      shifts[at + magnitude] = Math.min(Math.max(worth * STRENGTH, 0), LARGEST_SHIFT);
    }
  });
  return shifts;
}
