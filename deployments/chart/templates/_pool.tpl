{{- /* The work pool: what the worker makes of a run. */}}

{{- /*
The base job template. Double braces that stay are Prefect's, filled in for each run. What a run may choose is its name and
labels, no more: command, environment, folder, image, account and security are the chart's. A variable that no placeholder names has no effect.
*/}}
{{- define "pgrollout.baseJobTemplate" -}}
{{- $place := dict "root" . "part" .Values.runner "component" "flow" "account" (include "pgrollout.runnerAccountName" .) -}}
variables:
  type: object
  properties:
    name: {type: string, title: Name}
    labels: {type: object, title: Labels, additionalProperties: {type: string}}
job_configuration:
  name: {{ "'{{ name }}'" }}
  labels: {{ "'{{ labels }}'" }}
  env:
    # What a run's process must know before it imports Prefect, or the stages' log lines are not on its page.
    PREFECT_LOGGING_EXTRA_LOGGERS: pgrollout
  {{- if eq .Values.runner.pool.type "process" }}
  # Where pgrollout.toml and the migrations are; otherwise a run starts in an empty folder.
  working_dir: /app
  stream_output: true
  {{- else }}
  namespace: {{ .Release.Namespace }}
  job_manifest:
    apiVersion: batch/v1
    kind: Job
    metadata:
      namespace: {{ .Release.Namespace }}
      generateName: {{ include "pgrollout.fullname" . }}-run-
      labels:
        {{- include "pgrollout.podLabels" $place | nindent 8 }}
    spec:
      # Prefect itself starts a run again that was evicted.
      backoffLimit: 0
      ttlSecondsAfterFinished: {{ .Values.runner.jobTtlSeconds | int64 }}
      template:
        metadata:
          {{- with include "pgrollout.podAnnotations" $place | fromYaml }}
          annotations:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          labels:
            {{- include "pgrollout.podLabels" $place | nindent 12 }}
        spec:
          # Of a Job, not of a pod, and dropped by the API server; Prefect's worker asks for them here.
          completions: 1
          parallelism: 1
          restartPolicy: Never
          terminationGracePeriodSeconds: 60
          {{- include "pgrollout.pod" $place | nindent 10 }}
          containers:
            # The name that the worker asks for.
            - name: prefect-job
              {{- include "pgrollout.container" . | nindent 14 }}
              # Prefect starts the run in an empty folder: the project is the image's.
              command:
                - sh
                - -c
                - |
                  if [ -f /app/pgrollout.toml ]; then export PGROLLOUT_CONFIG=/app/pgrollout.toml
                  else export PGROLLOUT_MIGRATIONS=/app/migrations; fi
                  exec "$@"
                - run
              args: [prefect, flow-run, execute]
              env:
                {{- include "pgrollout.runnerEnvironment" . | nindent 16 }}
              resources:
                {{- toYaml .Values.runner.resources | nindent 16 }}
              volumeMounts:
                {{- include "pgrollout.runnerMounts" . | nindent 16 }}
          volumes:
            {{- include "pgrollout.runnerVolumes" . | nindent 12 }}
  {{- end }}
{{- end }}

{{- /* The environment of a worker that makes pods: the way in goes to runs as a reference, and nothing is watched beyond this namespace. */}}
{{- define "pgrollout.poolEnvironment" -}}
- name: PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED
  value: "false"
{{- with .Values.prefect.existingSecret }}
- name: PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_NAME
  value: {{ . }}
- name: PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_KEY
  value: auth-string
{{- end }}
{{- end }}
