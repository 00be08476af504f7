{{- /* What pods may reach, as rules of a NetworkPolicy. */}}

{{- define "pgrollout.egressDns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns.peers | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{- define "pgrollout.egressDatabase" -}}
{{- $database := include "pgrollout.database" . | fromYaml -}}
- ports:
    {{- range .Values.networkPolicy.database.ports | default (list $database.port) }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .Values.networkPolicy.database.peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
