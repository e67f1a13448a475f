#!/usr/bin/env bash
# Installs what the compat tests need beyond Go, by name and pinned version,
# into .tools/ of the checkout: nothing outside it is changed. A tool that
# cannot be had is named on stderr; its tests then say that they did not run.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/.tools
mkdir -p "$tools"

note() { echo "tools: $*" >&2; }

# The SigV4A signer of boto3 and the AWS CLI, from Debian 12's package. Only
# the module itself goes on the path: the rest of dist-packages would shadow
# other modules.
install_awscrt() {
	local version=0.16.8+dfsg-1
	[ -d "$tools/awscrt/awscrt" ] && return
	command -v apt-get >/dev/null || { note "awscrt: no apt-get on this system"; return; }
	local tmp; tmp=$(mktemp -d)
	chmod 755 "$tmp"
	(cd "$tmp" && { apt-get download -q "python3-awscrt=$version" || { apt-get update -q && apt-get download -q "python3-awscrt=$version"; }; } >log 2>&1 \
		&& dpkg -x ./*.deb x && mkdir -p "$tools/awscrt" \
		&& cp -r x/usr/lib/python3/dist-packages/awscrt x/usr/lib/python3/dist-packages/_awscrt*.so "$tools/awscrt/") \
		|| note "awscrt: python3-awscrt $version could not be installed"
	rm -rf "$tmp"
}

# The JavaScript SDK and its pure-JavaScript SigV4A signer.
install_js() {
	command -v npm >/dev/null || { note "javascript: no npm on this system"; return; }
	[ -e "$tools/js/done" ] && cmp -s "$root/compat/testdata/js/package.json" "$tools/js/package.json" && return
	rm -rf "$tools/js" && mkdir -p "$tools/js"
	cp "$root/compat/testdata/js/package.json" "$tools/js/"
	(cd "$tools/js" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >log 2>&1 && touch done) \
		|| note "javascript: npm install failed, see .tools/js/log"
}

# The engine that CloudFront Functions runs on, as the oracle of our runtime.
install_njs() {
	command -v njs >/dev/null && return
	local version=0.7.9-2
	[ -x "$tools/njs/usr/bin/njs" ] && return
	command -v apt-get >/dev/null || { note "njs: no apt-get on this system"; return; }
	local tmp; tmp=$(mktemp -d)
	chmod 755 "$tmp"
	(cd "$tmp" && { apt-get download -q "njs=$version" || { apt-get update -q && apt-get download -q "njs=$version"; }; } >log 2>&1 \
		&& dpkg -x ./*.deb "$tools/njs") || note "njs: Debian package njs $version could not be installed"
	rm -rf "$tmp"
}

# An S3 server that checks signatures, to import from. It is built, not
# linked into the tests, because its dependencies are many.
install_versitygw() {
	local version=v1.8.0
	command -v versitygw >/dev/null || [ -x "$tools/bin/versitygw" ] && return
	GOBIN=$tools/bin go install "github.com/versity/versitygw/cmd/versitygw@$version" >"$tools/versitygw.log" 2>&1 \
		|| note "versitygw: go install failed, see .tools/versitygw.log"
}

install_awscrt
install_js
install_versitygw
install_njs
exit 0
