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

{{- define "pgrollout.egressApiServer" -}}
- ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .Values.networkPolicy.apiServer.peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "pgrollout.egressPrefect" -}}
{{- $url := urlParse (include "pgrollout.apiUrl" .) -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- $peers := .Values.networkPolicy.prefect.peers -}}
{{- if not (or $peers .Values.prefect.apiUrl) -}}
{{- $selector := include "pgrollout.selector" (dict "root" . "component" "server") | fromYaml -}}
{{- $peers = list (dict "podSelector" (dict "matchLabels" $selector)) -}}
{{- end -}}
- ports:
    {{- range .Values.networkPolicy.prefect.ports | default (list $port) }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with $peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "pgrollout.extraEgress" -}}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Who may come in for the metrics. */}}
{{- define "pgrollout.ingressMetrics" -}}
- ports:
    - {protocol: TCP, port: metrics}
  {{- with .Values.networkPolicy.metrics.peers }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
