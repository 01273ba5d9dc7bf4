# made by "make generate" of the command line
_vdi_gateway() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word i
	if [ "$prev" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
	if [ "$cur" = = ]; then prev=${COMP_WORDS[COMP_CWORD-1]} cur=; fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case "$command $word" in
		" run" | " demo" | " settings" | " settings get" | " settings set" | " settings history" | " settings validate" | " settings import" | " cert" | " cert show" | " cert renew" | " status" | " connections" | " disconnect" | " doctor" | " failover" | " join" | " leave" | " release" | " version") command="$command $word" ;;
		esac
	done
	case "$command $prev" in
	" run --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" run --node") COMPREPLY=(); return ;;
	" run --log-level") COMPREPLY=($(compgen -W "error warn info debug" -- "$cur")); return ;;
	" settings get --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" settings set --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" settings history --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" settings history --limit") COMPREPLY=(); return ;;
	" settings validate --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" settings import --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" settings import --haproxy") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" settings import --keepalived") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" settings import --pveproxy") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" settings import --node") COMPREPLY=(); return ;;
	" cert show --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" cert renew --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" status --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" status --ca") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" status --fingerprint") COMPREPLY=(); return ;;
	" status --server") COMPREPLY=(); return ;;
	" status --api-key") COMPREPLY=(); return ;;
	" connections --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" connections --ca") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" connections --fingerprint") COMPREPLY=(); return ;;
	" connections --server") COMPREPLY=(); return ;;
	" connections --api-key") COMPREPLY=(); return ;;
	" connections --state") COMPREPLY=($(compgen -W "granted active" -- "$cur")); return ;;
	" connections --user") COMPREPLY=(); return ;;
	" connections --vm") COMPREPLY=(); return ;;
	" connections --client") COMPREPLY=(); return ;;
	" disconnect --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" disconnect --ca") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" disconnect --fingerprint") COMPREPLY=(); return ;;
	" disconnect --server") COMPREPLY=(); return ;;
	" disconnect --api-key") COMPREPLY=(); return ;;
	" disconnect --user") COMPREPLY=(); return ;;
	" disconnect --vm") COMPREPLY=(); return ;;
	" disconnect --client") COMPREPLY=(); return ;;
	" disconnect --reason") COMPREPLY=(); return ;;
	" doctor --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" doctor --node") COMPREPLY=(); return ;;
	" doctor --listen") COMPREPLY=(); return ;;
	" failover --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" failover --ca") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" failover --fingerprint") COMPREPLY=(); return ;;
	" failover --server") COMPREPLY=(); return ;;
	" failover --api-key") COMPREPLY=(); return ;;
	" join --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" join --ca") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" join --fingerprint") COMPREPLY=(); return ;;
	" join --api-key") COMPREPLY=(); return ;;
	" join --port") COMPREPLY=(); return ;;
	" join --own") COMPREPLY=(); return ;;
	" leave --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" leave --node") COMPREPLY=(); return ;;
	" release --db") compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	esac
	case "$command" in
	"") COMPREPLY=($(compgen -W "--help run demo settings cert status connections disconnect doctor failover join leave release version" -- "$cur")); ;;
	" run") COMPREPLY=($(compgen -W "--help --db --node --log-level" -- "$cur")); ;;
	" demo") COMPREPLY=($(compgen -W "--help --once" -- "$cur")); ;;
	" settings") COMPREPLY=($(compgen -W "--help get set history validate import" -- "$cur")); ;;
	" settings get") COMPREPLY=($(compgen -W "--help --db" -- "$cur")); ;;
	" settings set") COMPREPLY=($(compgen -W "--help --db" -- "$cur")); compopt -o filenames; COMPREPLY+=($(compgen -f -- "$cur")); ;;
	" settings history") COMPREPLY=($(compgen -W "--help --db --limit" -- "$cur")); ;;
	" settings validate") COMPREPLY=($(compgen -W "--help --db" -- "$cur")); compopt -o filenames; COMPREPLY+=($(compgen -f -- "$cur")); ;;
	" settings import") COMPREPLY=($(compgen -W "--help --db --haproxy --keepalived --pveproxy --node --dry-run" -- "$cur")); ;;
	" cert") COMPREPLY=($(compgen -W "--help show renew" -- "$cur")); ;;
	" cert show") COMPREPLY=($(compgen -W "--help --db" -- "$cur")); ;;
	" cert renew") COMPREPLY=($(compgen -W "--help --db" -- "$cur")); ;;
	" status") COMPREPLY=($(compgen -W "--help --db --ca --fingerprint --server --api-key --json" -- "$cur")); ;;
	" connections") COMPREPLY=($(compgen -W "--help --db --ca --fingerprint --server --api-key --state --user --vm --client --json" -- "$cur")); ;;
	" disconnect") COMPREPLY=($(compgen -W "--help --db --ca --fingerprint --server --api-key --user --vm --client --all --reason" -- "$cur")); ;;
	" doctor") COMPREPLY=($(compgen -W "--help --db --node --listen --json" -- "$cur")); ;;
	" failover") COMPREPLY=($(compgen -W "--help --db --ca --fingerprint --server --api-key" -- "$cur")); ;;
	" join") COMPREPLY=($(compgen -W "--help --db --ca --fingerprint --api-key --port --own --insecure" -- "$cur")); ;;
	" leave") COMPREPLY=($(compgen -W "--help --db --node --force" -- "$cur")); ;;
	" release") COMPREPLY=($(compgen -W "--help --db --table" -- "$cur")); ;;
	" version") COMPREPLY=($(compgen -W "--help" -- "$cur")); ;;
	esac
}
complete -F _vdi_gateway vdi-gateway
