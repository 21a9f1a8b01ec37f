/** What a daemon says to the program that has started it, over the channel between them. */
import { z } from "zod";
import { EVENT_LEVELS } from "../journal/event-log.ts";

const eventSchema = z.object({
  /** ISO 8601 in UTC. */
  time: z.iso.datetime(),
  level: z.enum(EVENT_LEVELS),
  /** Stable identifier, such as SEGMENT_CHECKSUM. */
  code: z.string(),
  /** Null when it is about the member as a whole. */
  database: z.string().nullable(),
  message: z.string(),
  data: z.unknown(),
});

export const parentMessageSchema = z.union([
  z.object({ told: z.literal("ready") }),
  z.object({ told: z.literal("event"), event: eventSchema }),
]);

export type ParentMessage = z.infer<typeof parentMessageSchema>;

/** What has happened to a member, as `afterimage events` lists it. */
export type MemberEvent = z.infer<typeof eventSchema>;
