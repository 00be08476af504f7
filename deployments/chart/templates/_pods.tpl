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
    {{- with include "pgrollout.configVolume" .root | trim }}
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

{{- /* The volume of the certificates. */}}
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
{{- end }}

{{- define "pgrollout.configVolume" -}}
{{- if .Values.config }}
- name: config
  configMap: {name: {{ include "pgrollout.fullname" . }}-config}
{{- end }}
{{- end }}

{{- /* The account's token, for the one container that has it mounted. */}}
{{- define "pgrollout.tokenVolume" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end }}

{{- define "pgrollout.tokenMount" -}}
- {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{- /* Mounts and volumes of who carries out runs. */}}
{{- define "pgrollout.runnerMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: state, mountPath: /app/.pgrollout}
- {name: pod-template, mountPath: /etc/pgrollout/pod, readOnly: true}
{{ include "pgrollout.tokenMount" . }}
{{- include "pgrollout.configMount" . }}
{{- with concat .Values.extraVolumeMounts .Values.runner.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pgrollout.runnerVolumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.runner.scratchSize }}}
- name: state
  emptyDir: {sizeLimit: {{ .Values.runner.scratchSize }}}
- name: pod-template
  configMap: {name: {{ include "pgrollout.fullname" . }}-pod}
{{ include "pgrollout.tokenVolume" . }}
{{- include "pgrollout.configVolume" . }}
{{- with concat .Values.extraVolumes .Values.runner.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pgrollout.claimName" -}}
{{- .Values.backup.persistence.existingClaim | default (printf "%s-backups" (include "pgrollout.fullname" .)) -}}
{{- end }}

{{- /* The template of a pod that talks to Prefect only. (dict "root" . "component" "submit" "container" "migrate" "command" list "env" "- name: …" "envFrom" list) */}}
{{- define "pgrollout.prefectPod" -}}
{{- $values := .root.Values -}}
{{- $place := dict "root" .root "part" dict "component" .component "account" (include "pgrollout.serviceAccountName" .root) -}}
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
  {{- include "pgrollout.pod" $place | nindent 2 }}
  containers:
    - name: {{ .container }}
      {{- include "pgrollout.container" .root | nindent 6 }}
      command:
        {{- toYaml .command | nindent 8 }}
      terminationMessagePolicy: FallbackToLogsOnError
      env:
        {{- include "pgrollout.prefectEnvironment" .root | nindent 8 }}
        {{- .env | nindent 8 }}
        {{- with $values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml $values.registration.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with include "pgrollout.configMount" .root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 256Mi}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with include "pgrollout.configVolume" .root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* The files of the launcher's folder. */}}
{{- define "pgrollout.podTemplates" -}}
pod.yaml: |
  {{- include "pgrollout.databasePod" (dict "root" . "container" "stage" "backups" false) | nindent 2 }}
{{- if .Values.backup.persistence.enabled }}
backup.yaml: |
  {{- include "pgrollout.databasePod" (dict "root" . "container" "stage" "backups" true) | nindent 2 }}
{{- end }}
{{- end }}
