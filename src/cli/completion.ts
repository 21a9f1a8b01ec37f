/**
 * `afterimage completion SHELL` prints a script for the shell's start-up file; the script asks `afterimage complete`, which is
 * not meant for people, what can follow.
 */
import { Argument, type Command } from "commander";
import type { Configuration } from "../config/configuration.ts";
import { loadConfiguration } from "../config/load-configuration.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { outline } from "./command-outline.ts";
import { completionCandidates, FILES, type KnownNames } from "./completion-candidates.ts";
import { EXIT } from "./exit-codes.ts";
import { configurationPathOrNull } from "./open-configuration.ts";
import type { Register } from "./register.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** What `complete` answers when the shell is to offer files. */
const FILES_LINE = ":files";

const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# In ~/.bashrc:  source <(afterimage completion bash)
_afterimage() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [ "$line" = ${FILES_LINE} ]; then
      compopt -o default
      return
    fi
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _afterimage afterimage`,
  zsh: `#compdef afterimage
# In ~/.zshrc, after compinit:  source <(afterimage completion zsh)
_afterimage() {
  local line
  local -a candidates
  while IFS= read -r line; do
    if [[ $line == ${FILES_LINE} ]]; then
      _files
      return
    fi
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done < <("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe -t values afterimage candidates
}
compdef _afterimage afterimage`,
  fish: `# In ~/.config/fish/config.fish:  afterimage completion fish | source
function __afterimage_candidates
  set -l words (commandline -opc) (commandline -ct)
  set -l lines ($words[1] complete -- $words[2..-1] 2>/dev/null)
  if test "$lines" = ${FILES_LINE}
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $lines
  end
end
complete -c afterimage -f -a '(__afterimage_candidates)'`,
};

function complete(program: Command, words: readonly string[], io: CommandIo): number {
  const found = completionCandidates(outline(program), words, () => knownNames(words, io));
  if (found === FILES) io.out(FILES_LINE);
  else for (const { word, description } of found) io.out(`${word}\t${description}`);
  return EXIT.done;
}

/** Nothing is offered when there is no configuration, or none that can be read: this is no place for errors. */
function knownNames(words: readonly string[], io: CommandIo): KnownNames {
  const at = words.indexOf("--config");
  const config = at === -1 ? undefined : words[at + 1];
  try {
    const path = configurationPathOrNull(config === undefined ? {} : { config }, io);
    if (path !== null) return namesOf(loadConfiguration(path, { environment: io.environment }));
  } catch {}
  return { members: [], databases: [] };
}

function namesOf({ members }: Configuration): KnownNames {
  const databases = [...members.values()].flatMap((member) => [...member.databases.keys()]);
  return { members: [...members.keys()], databases: [...new Set(databases)] };
}

export const registerCompletion: Register = (program, execute) => {
  program
    .command("completion")
    .description("print a script that completes commands, options and names in a shell")
    .addArgument(new Argument("<shell>", "which one").choices(SHELLS))
    .action((shell: Shell, _options: object, command: Command) =>
      execute(command, async (_globals: GlobalOptions, io) => {
        io.out(SCRIPTS[shell]);
        return EXIT.done;
      }),
    );
  program
    .command("complete", { hidden: true })
    .argument("[words...]")
    .action((words: string[], _options: object, command: Command) =>
      execute(command, async (_globals, io) => complete(program, words, io)),
    );
};
