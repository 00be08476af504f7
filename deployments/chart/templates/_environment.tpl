{{- /* Environment of containers: where the database is, pgrollout's settings, where Prefect is. */}}

{{- /* Where the database is, and the credentials; only for containers that reach it. */}}
{{- define "pgrollout.databaseEnvironment" -}}
{{- $database := include "pgrollout.database" . | fromYaml -}}
{{- $secret := include "pgrollout.secretName" . -}}
{{- $keys := .Values.secrets.keys -}}
{{- if eq (include "pgrollout.secretContent" .) "url" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $keys.url }}}
{{- else -}}
- name: PGHOST
  value: {{ $database.host | quote }}
- name: PGPORT
  value: {{ include "pgrollout.text" $database.port | quote }}
- name: PGDATABASE
  value: {{ $database.name | quote }}
- name: PGUSER
  {{- if $database.user }}
  value: {{ $database.user | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $keys.user }}}
  {{- end }}
{{- if and $secret $keys.password }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $keys.password }}}
{{- end }}
{{- end }}
- name: PGSSLMODE
  value: {{ $database.sslMode | quote }}
{{- if .Values.database.tls.existingSecret }}
- name: PGSSLROOTCERT
  value: /etc/pgrollout/tls/ca.crt
{{- if .Values.database.tls.clientCertificate }}
- name: PGSSLCERT
  value: /etc/pgrollout/tls/tls.crt
- name: PGSSLKEY
  value: /etc/pgrollout/tls/tls.key
{{- end }}
{{- end }}
{{- end }}

{{- define "pgrollout.secretContent" -}}
{{- $content := .Values.secrets.content -}}
{{- if eq $content "auto" -}}
{{- $content = (include "pgrollout.database" . | fromYaml).host | empty | ternary "url" "parts" -}}
{{- end -}}
{{- $content -}}
{{- end }}

{{- /* pgrollout's settings, the same for whoever decides and whoever carries out. */}}
{{- define "pgrollout.settingsEnvironment" -}}
{{- $deadlines := include "pgrollout.deadlines" . | fromYaml -}}
- name: PGROLLOUT_RUN_DEADLINE_MS
  value: {{ mul $deadlines.run 1000 | quote }}
- name: PGROLLOUT_WAIT_FOR_RUN_MS
  value: {{ mul $deadlines.run 1000 | quote }}
- name: PGROLLOUT_TABLE_LOCK_DEADLINE_MS
  value: {{ mul $deadlines.tableLock 1000 | quote }}
- name: PGROLLOUT_BACKUP
  value: {{ include "pgrollout.backupPolicy" . }}
- name: PGROLLOUT_BACKUP_DIR
  value: /backups
{{- with .Values.migration.database }}
- name: PGROLLOUT_DATABASE
  value: {{ . | quote }}
{{- end }}
{{- range $key, $value := .Values.settings }}
- name: PGROLLOUT_{{ upper $key }}
  value: {{ include "pgrollout.text" $value | quote }}
{{- end }}
{{- end }}

{{- define "pgrollout.backupPolicy" -}}
{{- .Values.backup.policy | default (.Values.backup.persistence.enabled | ternary "dump" "none") -}}
{{- end }}

{{- /* Where the Prefect API is, and the way in. */}}
{{- define "pgrollout.prefectEnvironment" -}}
- name: PREFECT_API_URL
  value: {{ include "pgrollout.apiUrl" . | quote }}
{{- with .Values.prefect.uiUrl }}
- name: PREFECT_UI_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.prefect.existingSecret }}
- name: PREFECT_API_AUTH_STRING
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: auth-string}
{{- end }}
{{- end }}

{{- /* Of who carries out runs: worker and flows. No credentials of the database. */}}
{{- define "pgrollout.runnerEnvironment" -}}
{{- $deadlines := include "pgrollout.deadlines" . | fromYaml -}}
{{- $image := include "pgrollout.chosenImage" . | fromYaml -}}
{{ include "pgrollout.prefectEnvironment" . }}
- name: PGROLLOUT_LAUNCHER
  value: kubernetes
- name: PGROLLOUT_NAMESPACE
  value: {{ .Release.Namespace }}
- name: PGROLLOUT_IMAGES
  value: {{ prepend .Values.migration.allowedImages $image.repository | join "," | quote }}
- name: PGROLLOUT_STAGE_DEADLINE_SECONDS
  value: {{ $deadlines.job | quote }}
- name: PGROLLOUT_PENDING_SECONDS
  value: {{ $deadlines.pending | quote }}
- name: PGROLLOUT_JOB_TTL_SECONDS
  value: {{ .Values.runner.jobTtlSeconds | int64 | quote }}
{{ include "pgrollout.settingsEnvironment" . }}
{{- with concat .Values.extraEnv .Values.runner.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Of the Job that registers. */}}
{{- define "pgrollout.registrationEnvironment" -}}
- name: PGROLLOUT_WORK_POOL
  value: {{ include "pgrollout.poolName" . | quote }}
- name: PGROLLOUT_WORK_POOL_TYPE
  value: {{ .Values.runner.pool.type }}
- name: PGROLLOUT_BASE_JOB_TEMPLATE
  value: /etc/pgrollout/pool/base-job-template.json
- name: PGROLLOUT_DRIFT_CRON
  value: {{ .Values.registration.driftCron | quote }}
{{- with .Values.migration.database }}
- name: PGROLLOUT_DATABASE
  value: {{ . | quote }}
{{- end }}
{{- range $key, $value := .Values.alerts.settings }}
- name: PGROLLOUT_ALERT_{{ upper $key }}
  value: {{ include "pgrollout.text" $value | quote }}
{{- end }}
{{- end }}
