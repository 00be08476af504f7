{{- /* The container that reads the ledger and serves metrics; the only one of the runner's pod that reaches the database. */}}
{{- define "pgrollout.metricsContainer" -}}
- name: metrics
  {{- include "pgrollout.container" . | nindent 2 }}
  command: [pgrollout, metrics, --port, {{ .Values.metrics.port | quote }}]
  env:
    {{- include "pgrollout.databaseEnvironment" . | nindent 4 }}
    {{- include "pgrollout.settingsEnvironment" . | nindent 4 }}
    {{- with concat .Values.extraEnv .Values.stage.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: metrics, containerPort: {{ .Values.metrics.port }}}
  livenessProbe:
    httpGet: {path: /healthz, port: metrics}
    periodSeconds: 30
    timeoutSeconds: 5
    failureThreshold: 4
  resources:
    {{- toYaml .Values.metrics.resources | nindent 4 }}
  volumeMounts:
    - {name: metrics-tmp, mountPath: /tmp}
    - {name: metrics-state, mountPath: /app/.pgrollout}
    {{- with include "pgrollout.databaseMounts" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with concat .Values.extraVolumeMounts .Values.stage.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* Its volumes, in a pod that also has those of the runner. */}}
{{- define "pgrollout.metricsVolumes" -}}
- name: metrics-tmp
  emptyDir: {sizeLimit: 64Mi}
- name: metrics-state
  emptyDir: {sizeLimit: 64Mi}
{{- with include "pgrollout.databaseVolumes" . | trim }}
{{ . }}
{{- end }}
{{- with .Values.stage.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
