/** What a program imports from "afterimage"; docs/API.md describes it. Everything else is for the command line. */
export { type MemberExit, type RunningMember, type StartOptions, startMember } from "./embedding/start-member.ts";
export { AfterimageError } from "./errors.ts";
export type { RotationResult, SyncedMember, SyncOptions } from "./member/journal-results.ts";
export type { MemberEvent } from "./overseer/parent-messages.ts";
export type { DatabaseStatus, MemberStatus, MirrorSetStatus } from "./status/member-status.ts";
