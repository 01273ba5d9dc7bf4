#compdef vdi-gateway
# made by "make generate" of the command line

_vdi-gateway() {
	local -a commands=(
		'run:Run a node of the gateway'
		'demo:Show a desktop session flowing through a node on this machine'
		'settings:Read and change the settings document of a database while no node runs on it'
		'cert:Show or renew the TLS certificate of this node'
		'status:Show how a running node does'
		'connections:List the connections of a running node'
		'disconnect:End connections of a running node'
		'doctor:Look for what keeps a node from serving, or a cluster from staying one, and say what to do'
		'failover:Have the node that holds the virtual address hand it over to another one'
		'join:Make this machine a node of a cluster'
		'leave:Take this machine out of its cluster'
		'release:Remove the virtual address from this host'
		'version:Print the version'
	)
	if (( CURRENT == 2 )); then
		_describe command commands
		return
	fi
	shift words
	(( CURRENT-- ))
	case $words[1] in
	run) _vdi-gateway_run ;;
	demo) _vdi-gateway_demo ;;
	settings) _vdi-gateway_settings ;;
	cert) _vdi-gateway_cert ;;
	status) _vdi-gateway_status ;;
	connections) _vdi-gateway_connections ;;
	disconnect) _vdi-gateway_disconnect ;;
	doctor) _vdi-gateway_doctor ;;
	failover) _vdi-gateway_failover ;;
	join) _vdi-gateway_join ;;
	leave) _vdi-gateway_leave ;;
	release) _vdi-gateway_release ;;
	version) _vdi-gateway_version ;;
	esac
}

_vdi-gateway_run() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--node=[Which of internal_addrs this node is; needed when several are on this host.]:value: ' \
		'--log-level=[error, warn, info or debug (default - info).]:value:(error warn info debug)' \
		'--help[show help]'
}

_vdi-gateway_demo() {
	_arguments \
		'--once[Show that frames flow, print one line and end.]' \
		'--help[show help]'
}

_vdi-gateway_settings() {
	local -a commands=(
		'get:Print the settings document, secrets included'
		'set:Lay a whole or partial document over the settings'
		'history:List the revisions of the settings, newest first'
		'validate:Check a whole or partial document without changing anything'
		'import:Take over the settings of an original Space Gateway, or those of Proxmox'\''s pveproxy'
	)
	if (( CURRENT == 2 )); then
		_describe command commands
		return
	fi
	shift words
	(( CURRENT-- ))
	case $words[1] in
	get) _vdi-gateway_settings_get ;;
	set) _vdi-gateway_settings_set ;;
	history) _vdi-gateway_settings_history ;;
	validate) _vdi-gateway_settings_validate ;;
	import) _vdi-gateway_settings_import ;;
	esac
}

_vdi-gateway_settings_get() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--help[show help]'
}

_vdi-gateway_settings_set() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'*:file:_files' \
		'--help[show help]'
}

_vdi-gateway_settings_history() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--limit=[How many revisions (default - 20).]:value: ' \
		'--help[show help]'
}

_vdi-gateway_settings_validate() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'*:file:_files' \
		'--help[show help]'
}

_vdi-gateway_settings_import() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--haproxy=[The original'\''s haproxy.cfg - its addresses, ports, nodes and algorithm are laid over the settings, the rest of them stays.]:file:_files' \
		'--keepalived=[The original'\''s keepalived.conf - its virtual router is laid over the settings, the rest of them stays.]:file:_files' \
		'--pveproxy=[Instead of an original - /etc/default/pveproxy of a Proxmox host. What it sets is laid over the settings, the rest of them stays.]:file:_files' \
		'--node=[With --keepalived - which of internal_addrs the file is of; needed when that is not clear.]:value: ' \
		'--dry-run[Say what would be taken, and change nothing.]' \
		'--help[show help]'
}

_vdi-gateway_cert() {
	local -a commands=(
		'show:Show the certificate of this node - what for, until when, and its fingerprint'
		'renew:Make a new self-signed certificate with a new key, or have the authority of tls.acme asked for another one'
	)
	if (( CURRENT == 2 )); then
		_describe command commands
		return
	fi
	shift words
	(( CURRENT-- ))
	case $words[1] in
	show) _vdi-gateway_cert_show ;;
	renew) _vdi-gateway_cert_renew ;;
	esac
}

_vdi-gateway_cert_show() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--help[show help]'
}

_vdi-gateway_cert_renew() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--help[show help]'
}

_vdi-gateway_status() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--ca=[Certificates in PEM form, one of which has to vouch for the node'\''s (default - those of the system).]:file:_files' \
		'--fingerprint=[SHA-256 of the node'\''s certificate, as vdi-gateway cert show prints it there; nothing else counts then.]:value: ' \
		'--server=[Address of the node'\''s API, such as http -//10.0.0.1 -8000; without a scheme the node is asked which (default - the node of the database; or $VDI_GATEWAY_SERVER).]:value: ' \
		'--api-key=[The dispatcher'\''s key (default - that of the database; or $VDI_GATEWAY_API_KEY).]:value: ' \
		'--json[Print the answer of the API.]' \
		'--help[show help]'
}

_vdi-gateway_connections() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--ca=[Certificates in PEM form, one of which has to vouch for the node'\''s (default - those of the system).]:file:_files' \
		'--fingerprint=[SHA-256 of the node'\''s certificate, as vdi-gateway cert show prints it there; nothing else counts then.]:value: ' \
		'--server=[Address of the node'\''s API, such as http -//10.0.0.1 -8000; without a scheme the node is asked which (default - the node of the database; or $VDI_GATEWAY_SERVER).]:value: ' \
		'--api-key=[The dispatcher'\''s key (default - that of the database; or $VDI_GATEWAY_API_KEY).]:value: ' \
		'--state=[Only those granted or active.]:value:(granted active)' \
		'--user=[Only those of this user.]:value: ' \
		'--vm=[Only those to this VM.]:value: ' \
		'--client=[Only those from this address.]:value: ' \
		'--json[Print the answers of the API, a connection a line.]' \
		'--help[show help]'
}

_vdi-gateway_disconnect() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--ca=[Certificates in PEM form, one of which has to vouch for the node'\''s (default - those of the system).]:file:_files' \
		'--fingerprint=[SHA-256 of the node'\''s certificate, as vdi-gateway cert show prints it there; nothing else counts then.]:value: ' \
		'--server=[Address of the node'\''s API, such as http -//10.0.0.1 -8000; without a scheme the node is asked which (default - the node of the database; or $VDI_GATEWAY_SERVER).]:value: ' \
		'--api-key=[The dispatcher'\''s key (default - that of the database; or $VDI_GATEWAY_API_KEY).]:value: ' \
		'--user=[End all of this user.]:value: ' \
		'--vm=[End all to this VM.]:value: ' \
		'--client=[End all from this address.]:value: ' \
		'--all[End all.]' \
		'--reason=[Why, for the journal.]:value: ' \
		'--help[show help]'
}

_vdi-gateway_doctor() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--node=[Which of internal_addrs this node is; needed when several are on this host.]:value: ' \
		'--listen=[How long to listen for VRRP and to ask the neighbours; more where adverts may be rare (default - three intervals, one second at least).]:value: ' \
		'--json[Print the findings as JSON.]' \
		'--help[show help]'
}

_vdi-gateway_failover() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--ca=[Certificates in PEM form, one of which has to vouch for the node'\''s (default - those of the system).]:file:_files' \
		'--fingerprint=[SHA-256 of the node'\''s certificate, as vdi-gateway cert show prints it there; nothing else counts then.]:value: ' \
		'--server=[Address of the node'\''s API, such as http -//10.0.0.1 -8000; without a scheme the node is asked which (default - the node of the database; or $VDI_GATEWAY_SERVER).]:value: ' \
		'--api-key=[The dispatcher'\''s key (default - that of the database; or $VDI_GATEWAY_API_KEY).]:value: ' \
		'--help[show help]'
}

_vdi-gateway_join() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--ca=[Certificates in PEM form, one of which has to vouch for the node'\''s (default - those of the system).]:file:_files' \
		'--fingerprint=[SHA-256 of the node'\''s certificate, as vdi-gateway cert show prints it there; nothing else counts then.]:value: ' \
		'--api-key=[The cluster'\''s api_key; - reads it from standard input (or $VDI_GATEWAY_API_KEY).]:value: ' \
		'--port=[The cluster'\''s api_port (default - 8000).]:value: ' \
		'--own=[Address of this machine in internal_addrs (default - the one by which it reaches ADDRESS).]:value: ' \
		'--insecure[Let the keys of the cluster travel readable, or to whoever answers - only within a network that you trust.]' \
		'--help[show help]'
}

_vdi-gateway_leave() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--node=[Which of internal_addrs this machine is; needed when several are on it.]:value: ' \
		'--force[Leave though no other node can be reached; they keep listing this machine.]' \
		'--help[show help]'
}

_vdi-gateway_release() {
	_arguments \
		'--db=[Settings database (default - /opt/vdi-gateway/app/settings.db; or $VDI_GATEWAY_DB).]:file:_files' \
		'--table[Also remove the kernel'\''s table, which ends the connections that the kernel carries. Done anyway after systemd has stopped the service on purpose.]' \
		'--help[show help]'
}

_vdi-gateway_version() {
	_arguments \
		'--help[show help]'
}

_vdi-gateway "$@"
