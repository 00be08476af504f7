{{- /* Names, labels, and which image, mode and accounts are meant. */}}

{{- define "pgrollout.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- /* What selects the pods of a component. The name is a constant: launcher and queries rely on it, whatever the chart's alias. */}}
{{- define "pgrollout.selector" -}}
app.kubernetes.io/name: pgrollout
app.kubernetes.io/instance: {{ include "pgrollout.fullname" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "pgrollout.labels" -}}
{{ include "pgrollout.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "pgrollout-%s" .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pgrollout.mode" -}}
{{- if .Values.migration.mode -}}
{{- .Values.migration.mode -}}
{{- else if include "pgrollout.apiUrl" . -}}
prefect
{{- else -}}
direct
{{- end -}}
{{- end }}

{{- /* Where the Prefect API is: the value, else the release's own server. */}}
{{- define "pgrollout.apiUrl" -}}
{{- if .Values.prefect.apiUrl -}}
{{- .Values.prefect.apiUrl -}}
{{- else if .Values.server.enabled -}}
http://{{ include "pgrollout.fullname" . }}-server.{{ .Release.Namespace }}.svc:4200/api
{{- end -}}
{{- end }}

{{- /* Whether the release has a runner: not empty if so. */}}
{{- define "pgrollout.hasRunner" -}}
{{- if and .Values.runner.enabled (eq (include "pgrollout.mode" .) "prefect") }}true{{ end -}}
{{- end }}

{{- define "pgrollout.poolName" -}}
{{- .Values.runner.pool.name | default (eq .Values.runner.pool.type "kubernetes" | ternary "migrations-pods" "migrations") -}}
{{- end }}

{{- define "pgrollout.runnerAccountName" -}}
{{- $account := .Values.runner.serviceAccount -}}
{{- $account.name | default ($account.create | ternary (printf "%s-runner" (include "pgrollout.fullname" .)) "default") -}}
{{- end }}

{{- /* The values of the image in use. */}}
{{- define "pgrollout.chosenImage" -}}
{{- $image := .Values.image -}}
{{- if .Values.migration.customImage.enabled -}}
{{- $image = .Values.migration.customImage -}}
{{- end -}}
{{- dict "repository" $image.repository "tag" (include "pgrollout.text" $image.tag) "digest" $image.digest | toYaml -}}
{{- end }}

{{- /* The full reference of the image in use; a digest wins over a tag. */}}
{{- define "pgrollout.image" -}}
{{- $image := include "pgrollout.chosenImage" . | fromYaml -}}
{{- $image.repository -}}{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag }}{{ end -}}
{{- end }}

{{- /* A value as it was typed: the number 1234567 of a file would be 1.234567e+06. Lists with commas. */}}
{{- define "pgrollout.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{- define "pgrollout.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "pgrollout.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- /* The database's values: the chart's, else those of an application's chart. */}}
{{- define "pgrollout.database" -}}
{{- $database := .Values.database -}}
{{- $global := dig "database" dict (.Values.global | default dict) -}}
{{- if and (not $database.host) (kindIs "map" $global) -}}
{{- $database = merge (pick $global "host" "port" "name" "sslMode") $database -}}
{{- end -}}
{{- $database | toYaml -}}
{{- end }}

{{- define "pgrollout.secretName" -}}
{{- $name := .Values.secrets.existingSecret -}}
{{- $global := dig "secrets" dict (.Values.global | default dict) -}}
{{- if and (not $name) (kindIs "map" $global) -}}
{{- $name = $global.existingSecret | default "" -}}
{{- end -}}
{{- $name -}}
{{- end }}
