// Package appliance holds no code, only tests of what an operator installs: the unit of
// systemd and the Debian package, which end-to-end tests build, look into, and install on
// a bare Debian that systemd-nspawn boots in a network namespace. That root file system is
// made once by mmdebstrap and kept in the user's cache folder.
package appliance
