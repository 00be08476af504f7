{{- define "pgrollout.checkCommand" -}}
- sh
- -ec
- |
  pgrollout status --format json >/tmp/status
  exec python - <<'END'
  import json, pathlib, sys
  found = json.loads(pathlib.Path("/tmp/status").read_text())
  if found["status"] != "OK":
      sys.exit(f"Error: {found['pending']} migrations are pending, after the hook: was its Job deleted? Repeat helm upgrade.")
  print(f"Nothing is pending at version {found['current']}.")
  END
{{- end }}
