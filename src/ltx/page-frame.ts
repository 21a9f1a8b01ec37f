/**
 * The head of a page frame (superfly/ltx README, "Page block"). Integers are big-endian.
 *
 * | offset | size | field                                          |
 * | ------ | ---- | ---------------------------------------------- |
 * | 0      | 4    | page number; 0 ends the page block             |
 * | 4      | 2    | flags                                          |
 * | 6      | 4    | size of the LZ4 block, with PAGE_FLAG_SIZE     |
 */

/** Page number and flags; all that there is of the frame that ends the page block. */
export const PAGE_HEADER_SIZE = 6;

/** With the size field. */
export const PAGE_HEADER_WITH_SIZE = 10;

/** A size field follows, and the data is one LZ4 block. Without it the data is an LZ4 frame. */
export const PAGE_FLAG_SIZE = 1;
