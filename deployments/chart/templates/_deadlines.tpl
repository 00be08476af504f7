{{- /*
Deadlines in seconds, each within the next: tableLock < run < job (prefect mode) < hook < helm. A Job that is stopped takes the
grace period of its pod, and a few seconds for the cluster to notice, before whoever waits for it is told.
*/}}
{{- define "pgrollout.deadlines" -}}
{{- $grace := int .Values.stage.terminationGracePeriodSeconds -}}
{{- $slack := add $grace 15 -}}
{{- $helm := int .Values.deadlines.helmTimeoutSeconds -}}
{{- $hook := int .Values.migration.activeDeadlineSeconds | default (sub $helm $slack) -}}
{{- $job := int .Values.deadlines.stageSeconds | default (sub $hook $slack) -}}
{{- $around := eq (include "pgrollout.mode" .) "prefect" | ternary $job $hook -}}
{{- $run := int .Values.deadlines.runSeconds | default (sub $around 15) -}}
{{- $tableLock := int .Values.deadlines.tableLockSeconds | default (min 300 (div $run 2)) -}}
{{- $pending := int .Values.deadlines.pendingSeconds | default (min 300 (div $job 2)) -}}
{{- dict "helm" $helm "hook" $hook "job" $job "run" $run "tableLock" $tableLock "pending" $pending "grace" $grace | toYaml -}}
{{- end }}
