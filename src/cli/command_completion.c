/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead completion`: the scripts that make shells ask us. complete.c works out what may follow,
 * from the commands' own rows.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/complete.h"
#include "fairlead/mem.h"

static const char bash[] =
	"# Completion of fairlead(1) for bash: source <(fairlead completion bash)\n"
	"_fairlead() {\n"
	"	local out=() i\n"
	"	mapfile -t out < <(\"${COMP_WORDS[0]}\" " COMPLETE_WORD
	" \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
	"	COMPREPLY=()\n"
	"	((${#out[@]})) || return\n"
	"	local last=${out[-1]} current=${COMP_WORDS[COMP_CWORD]}\n"
	"	[[ $current == = ]] && current=\n"
	"	for ((i = 0; i < ${#out[@]} - 1; i++)); do COMPREPLY+=(\"${out[i]%%$'\\t'*}\"); done\n"
	"	if [[ $last == :0 ]]; then\n"
	"		mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"		compopt -o filenames 2>/dev/null\n"
	"	fi\n"
	"}\n"
	"complete -F _fairlead fairlead kubectl-fairlead\n";

static const char zsh[] =
	"#compdef fairlead kubectl-fairlead\n"
	"# Completion of fairlead(1) for zsh: source <(fairlead completion zsh), or as _fairlead in a directory of $fpath\n"
	"_fairlead() {\n"
	"	local -a out\n"
	"	out=(\"${(@f)$(\"${words[1]}\" " COMPLETE_WORD
	" \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
	"	local last=${out[-1]}\n"
	"	out=(\"${(@)out[1,-2]}\")\n"
	"	if [[ $last == :0 ]]; then\n"
	"		_files\n"
	"	else\n"
	"		compadd -- \"${(@)out%%$'\\t'*}\"\n"
	"	fi\n"
	"}\n"
	"# Loaded as a function it is called as one at once; sourced, it makes itself known.\n"
	"if [[ ${funcstack[1]:-} == _fairlead ]]; then\n"
	"	_fairlead \"$@\"\n"
	"else\n"
	"	compdef _fairlead fairlead kubectl-fairlead\n"
	"fi\n";

static const char fish[] =
	"# Completion of fairlead(1) for fish: fairlead completion fish | source\n"
	"function __fairlead_complete\n"
	"	set -l words (commandline -opc) (commandline -ct)\n"
	"	set -l out ($words[1] " COMPLETE_WORD " $words[2..-1] 2>/dev/null)\n"
	"	if test \"$out[-1]\" = :0\n"
	"		__fish_complete_path (commandline -ct)\n"
	"	else\n"
	"		printf '%s\\n' $out[1..-2]\n"
	"	end\n"
	"end\n"
	"complete -c fairlead -f -a '(__fairlead_complete)'\n"
	"complete -c kubectl-fairlead -f -a '(__fairlead_complete)'\n";

static const char kubectl[] =
	"#!/bin/sh\n"
	"# Completion of `kubectl fairlead`: as kubectl_complete-fairlead, executable, in a directory of $PATH\n"
	"exec fairlead " COMPLETE_WORD " \"$@\"\n";

static int run_completion(const struct command_options *o, struct err *e)
{
	static const struct {
		const char *shell, *script;
	} rows[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish }, { "kubectl", kubectl } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].shell, o->operands[0])) {
			fputs(rows[i].script, stdout);
			return COMMAND_OK;
		}
	err_set(e, -EINVAL, ERR_CONFIG, "completion %.100s: it is one of bash, zsh, fish, kubectl",
	        o->operands[0]);
	return COMMAND_USAGE;
}

const struct command command_completion = {
	.words = { "completion" },
	.operands = "SHELL",
	.names = NAMES_SHELLS,
	.n = 1,
	.summary = "the script with which a shell completes our commands, flags and the names of "
		   "what is in the cluster: bash, zsh, fish, or kubectl for kubectl fairlead",
	.run = run_completion,
};
