{{- /* The pod that submits a run of the image of this release, and follows it. */}}
{{- define "pgrollout.submitPod" -}}
{{- $deadlines := include "pgrollout.deadlines" . | fromYaml -}}
{{- $command := list "pgrollout" "submit" "--timeout-seconds" (sub $deadlines.hook 15 | toString) -}}
{{- with .Values.migration.database }}{{ $command = concat $command (list "--database" .) }}{{ end -}}
{{- with .Values.migration.release }}{{ $command = concat $command (list "--release" .) }}{{ end -}}
{{- /* The same Job is the same run, also where its pod is replaced; the next Job is another. */}}
{{- $command = concat $command (list "--commit" "$(JOB_UID)" "--reason" (printf "release %s in namespace %s" .Release.Name .Release.Namespace)) -}}
{{- include "pgrollout.prefectPod" (dict "root" . "component" "submit" "container" "migrate" "command" $command "env" (include "pgrollout.submitEnvironment" .)) -}}
{{- end }}

{{- define "pgrollout.submitEnvironment" -}}
- name: PGROLLOUT_IMAGE
  value: {{ include "pgrollout.image" . | quote }}
- name: JOB_UID
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"}
{{- end }}
