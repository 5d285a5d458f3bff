import type { Command } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Commands whose first argument is a resource: its names are asked of `naru get` while one types. */
const NAMED = ["describe", "delete", "logs", "infer", "promote", "abort", "retry", "pause", "resume"];

const LIST_NAMES = "naru get modelservings -o name 2>/dev/null | sed 's|.*/||'";

/** A script that completes commands, their options, names of resources, and files elsewhere. */
export function completionScript(shell: Shell, program: Command): string {
  switch (shell) {
    case "bash":
      return bash(program);
    case "zsh":
      return zsh(program);
    case "fish":
      return fish(program);
  }
}

function optionsOf(command: Command): string[] {
  return command.options.flatMap(({ short, long }) => [short, long]).filter((flag) => flag != null);
}

function bash(program: Command): string {
  const cases = program.commands.map(
    (command) => `    ${command.name()}) options="${optionsOf(command).join(" ")}" ;;`,
  );
  return `# bash completion of naru
_naru() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}" options=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${program.commands.map((command) => command.name()).join(" ")} help" -- "$current"))
    return
  fi
  case "$command" in
${cases.join("\n")}
  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
    return
  fi
  case "$command" in
    ${NAMED.join("|")})
      if [ "$COMP_CWORD" -eq 2 ]; then
        COMPREPLY=($(compgen -W "$(${LIST_NAMES})" -- "$current"))
        return
      fi ;;
  esac
  COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _naru naru`;
}

function zsh(program: Command): string {
  const described = program.commands.map(
    (command) =>
      `    '${command.name()}:${command.summary().replaceAll("'", "'\\''").replaceAll(":", "\\:")}'`,
  );
  const cases = program.commands.map(
    (command) => `    ${command.name()}) compadd -- ${optionsOf(command).join(" ")} ;;`,
  );
  return `#compdef naru
_naru() {
  local -a commands
  commands=(
${described.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  if [[ "$PREFIX" == -* ]]; then
    case "\${words[2]}" in
${cases.join("\n")}
    esac
    return
  fi
  case "\${words[2]}" in
    ${NAMED.join("|")})
      if (( CURRENT == 3 )); then
        compadd -- \${(f)"$(${LIST_NAMES})"}
        return
      fi ;;
  esac
  _files
}
if [ "$funcstack[1]" = "_naru" ]; then _naru "$@"; else compdef _naru naru; fi`;
}

function fish(program: Command): string {
  const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = program.commands.flatMap((command) => [
    `complete -c naru -n __fish_use_subcommand -a ${command.name()} -d ${quoted(command.summary())}`,
    ...command.options.map(({ short, long, description }) =>
      [
        "complete -c naru",
        `-n '__fish_seen_subcommand_from ${command.name()}'`,
        ...(short == null ? [] : [`-s ${short.slice(1)}`]),
        ...(long == null ? [] : [`-l ${long.slice(2)}`]),
        `-d ${quoted(description)}`,
      ].join(" "),
    ),
  ]);
  return [
    "# fish completion of naru",
    ...lines,
    `complete -c naru -n '__fish_seen_subcommand_from ${NAMED.join(" ")}' -a "(${LIST_NAMES})"`,
  ].join("\n");
}
