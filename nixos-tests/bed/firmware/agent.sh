#!/bin/bash
# Runs what comes over the second console: a line "number script", the script in
# base64, is answered by "number exit-code output errors", both in base64.
export HOME=/root LANG=C.UTF-8
export PATH=/run/current-system/sw/bin:/opt/bed/bin:/opt/bed:/usr/bin:/usr/sbin
exec </dev/hvc0 >/dev/hvc0
# Only now: who closes it last resets it.
stty raw -echo
echo ready
while read -r number script; do
  base64 -d <<<"$script" >/run/bed.script
  timeout --kill-after=5 600 bash /run/bed.script </dev/null >/run/bed.out 2>/run/bed.err
  echo "$number $? $(base64 -w0 /run/bed.out) $(base64 -w0 /run/bed.err)"
done
