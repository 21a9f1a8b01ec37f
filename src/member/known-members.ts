/** The other members of the mirror set, and what is learnt from their status documents. */
import type { Configuration } from "../config/configuration.ts";
import type { MemberStatus, RunView } from "../status/member-status.ts";
import type { IdentityWatch } from "./identity-watch.ts";
import { LifeSigns } from "./life-signs.ts";
import type { MemberContext } from "./member-context.ts";
import type { MemberRoles } from "./member-roles.ts";
import { Peer } from "./peer.ts";
import { Sightings } from "./sightings.ts";

interface Learners {
  readonly roles: MemberRoles;
  readonly identity: IdentityWatch;
  /** Called when another member begins, or ceases, to ask for what this one has. */
  readonly askersChanged: () => void;
}

export class KnownMembers {
  readonly peers = new Map<string, Peer>();
  readonly lifeSigns = new LifeSigns();
  readonly #context: MemberContext;
  readonly #learners: Learners;
  readonly #sightings: Sightings;
  readonly #asked = new Set<string>();

  constructor(context: MemberContext, learners: Learners) {
    this.#context = context;
    this.#learners = learners;
    this.#sightings = new Sightings(context.store);
  }

  /** Knows every member of a configuration but this one, each by that configuration. Nobody is forgotten. */
  know({ members, ssh }: Configuration): void {
    const { self, nowMs } = this.#context;
    for (const member of members.values()) {
      if (member.name === self.name) continue;
      const known = this.peers.get(member.name);
      if (known === undefined)
        this.peers.set(member.name, new Peer(member, ssh, nowMs, (status) => this.#learn(status)));
      else known.configure(member, ssh);
    }
  }

  /** Members that live and ask this one to ship what it has received and they have not. */
  get askers(): string[] {
    const { name } = this.#context.self;
    const asking = [...this.peers.values()].filter(({ alive, status }) => alive && status?.collecting === name);
    return asking.map(({ member }) => member.name);
  }

  /** By member, the run that was seen last of it. */
  get seen(): Record<string, RunView> {
    return this.#sightings.view();
  }

  /** A document of another mirror set says nothing of this one. */
  #learn(status: MemberStatus): void {
    const { mirror, member, history, run } = status;
    if (mirror !== this.#context.configuration.mirror) return;
    const { roles, identity, askersChanged } = this.#learners;
    this.lifeSigns.note(status);
    this.#sightings.saw(member, run);
    roles.learn(member, history);
    identity.told(status);
    roles.confirm();
    const isServed = this.#asked.has(member);
    if (this.askers.includes(member) === isServed) return;
    if (isServed) this.#asked.delete(member);
    else this.#asked.add(member);
    askersChanged();
  }
}
