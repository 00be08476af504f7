{{- define "pgrollout.submitPod" -}}
{{- end }}
