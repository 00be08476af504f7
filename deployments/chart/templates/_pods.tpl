{{- /* What pods have in common, and the pod that reaches the database. */}}

{{- /* Of any pod: account, security, where it runs. (dict "root" . "part" .Values.stage "account" "name") */}}
{{- define "pgrollout.pod" -}}
{{- $values := .root.Values -}}
{{- $part := .part | default dict -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
# A Service called pgrollout would become settings, PGROLLOUT_PORT and so on.
enableServiceLinks: false
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with merge dict ($part.nodeSelector | default dict) $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat ($part.tolerations | default list) $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity | default $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName | default $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- /* Labels of any pod. (dict "root" . "part" .Values.stage "component" "migration") */}}
{{- define "pgrollout.podLabels" -}}
{{- $more := merge dict ((.part | default dict).podLabels | default dict) .root.Values.podLabels -}}
{{- merge (include "pgrollout.labels" . | fromYaml) $more | toYaml -}}
{{- end }}

{{- /* Annotations of any pod, as YAML of a map. (dict "root" . "part" .Values.stage) */}}
{{- define "pgrollout.podAnnotations" -}}
{{- merge dict ((.part | default dict).podAnnotations | default dict) .root.Values.podAnnotations | toYaml -}}
{{- end }}

{{- /* Of any container: image and security. */}}
{{- define "pgrollout.container" -}}
image: {{ include "pgrollout.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end }}

{{- /* The template of a pod that reaches the database. (dict "root" . "container" "stage" "command" list "backups" true) */}}
{{- define "pgrollout.databasePod" -}}
{{- $values := .root.Values -}}
{{- $stage := $values.stage -}}
{{- $place := dict "root" .root "part" $stage "component" "migration" "account" (include "pgrollout.serviceAccountName" .root) -}}
metadata:
  labels:
    {{- include "pgrollout.podLabels" $place | nindent 4 }}
    component: migration
  {{- with include "pgrollout.podAnnotations" $place | fromYaml }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: {{ $stage.terminationGracePeriodSeconds }}
  {{- include "pgrollout.pod" $place | nindent 2 }}
  containers:
    - name: {{ .container }}
      {{- include "pgrollout.container" .root | nindent 6 }}
      {{- with .command }}
      command:
        {{- toYaml . | nindent 8 }}
      # What went wrong is in the pod's description, too.
      terminationMessagePolicy: FallbackToLogsOnError
      {{- end }}
      env:
        {{- include "pgrollout.databaseEnvironment" .root | nindent 8 }}
        {{- include "pgrollout.settingsEnvironment" .root | nindent 8 }}
        {{- with concat $values.extraEnv $stage.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml $values.migration.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: state, mountPath: /app/.pgrollout}
        {{- if .backups }}
        - {name: backups, mountPath: /backups}
        {{- end }}
        {{- with include "pgrollout.databaseMounts" .root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with concat $values.extraVolumeMounts $stage.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: {{ $stage.scratchSize }}}
    - name: state
      emptyDir: {sizeLimit: {{ $stage.scratchSize }}}
    {{- if .backups }}
    - name: backups
      persistentVolumeClaim: {claimName: {{ include "pgrollout.claimName" .root }}}
    {{- end }}
    {{- with include "pgrollout.databaseVolumes" .root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with concat $values.extraVolumes $stage.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* Mounts of a container that reaches the database: certificates, configuration. */}}
{{- define "pgrollout.databaseMounts" -}}
{{- if .Values.database.tls.existingSecret }}
- {name: database-tls, mountPath: /etc/pgrollout/tls, readOnly: true}
{{- end }}
{{- include "pgrollout.configMount" . }}
{{- end }}

{{- define "pgrollout.configMount" -}}
{{- if .Values.config }}
- {name: config, mountPath: /app/pgrollout.toml, subPath: pgrollout.toml, readOnly: true}
{{- end }}
{{- end }}

{{- /* The volumes of these mounts. */}}
{{- define "pgrollout.databaseVolumes" -}}
{{- if .Values.database.tls.existingSecret }}
- name: database-tls
  secret:
    secretName: {{ .Values.database.tls.existingSecret }}
    # libpq refuses a key that others may read; the files are root's, and the pod's group reads them.
    defaultMode: 0440
    items:
      - {key: ca.crt, path: ca.crt}
      {{- if .Values.database.tls.clientCertificate }}
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
      {{- end }}
{{- end }}
{{- include "pgrollout.configVolume" . }}
{{- end }}

{{- define "pgrollout.configVolume" -}}
{{- if .Values.config }}
- name: config
  configMap: {name: {{ include "pgrollout.fullname" . }}-config}
{{- end }}
{{- end }}

{{- define "pgrollout.claimName" -}}
{{- .Values.backup.persistence.existingClaim | default (printf "%s-backups" (include "pgrollout.fullname" .)) -}}
{{- end }}
