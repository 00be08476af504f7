{{- /* When the Jobs run, in the words of Helm and of Argo CD. */}}

{{- /* The phase of a first install: the value; else after the runner, if the release brings it. */}}
{{- define "pgrollout.hookInstall" -}}
{{- .Values.migration.hook.install | default (include "pgrollout.hasRunner" . | empty | ternary "pre" "post") -}}
{{- end }}

{{- /* Helm's events of the migration's hook, as "pre-install,pre-upgrade"; empty if there is none. */}}
{{- define "pgrollout.hookEvents" -}}
{{- $events := list -}}
{{- range $event, $phase := dict "install" (include "pgrollout.hookInstall" .) "upgrade" .Values.migration.hook.upgrade -}}
{{- if ne $phase "none" -}}
{{- $events = append $events (printf "%s-%s" $phase $event) -}}
{{- end -}}
{{- end -}}
{{- $events | join "," -}}
{{- end }}

{{- /* Of a Job that is a hook. (dict "root" . "events" "pre-install" "weight" 0 "phase" "PreSync" "wave" 0) */}}
{{- define "pgrollout.hookAnnotations" -}}
{{- if .root.Values.argocd.enabled -}}
argocd.argoproj.io/hook: {{ .phase }}
argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
argocd.argoproj.io/sync-wave: {{ .wave | quote }}
{{- else -}}
helm.sh/hook: {{ .events }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: {{ .root.Values.migration.hook.deletePolicy }}
{{- end -}}
{{- end }}

{{- /*
Of what the migration's Job needs. Before a first install there is nothing of the release, so where the Job runs then, this is a
hook before it. Helm may make it part of the release later, when the hook's phase is changed, and does not delete it.
*/}}
{{- define "pgrollout.earlyAnnotations" -}}
{{- $hook := .Values.migration.hook -}}
{{- if not $hook.enabled -}}
{{- else if .Values.argocd.enabled -}}
{{- if eq (include "pgrollout.mode" .) "direct" -}}
argocd.argoproj.io/hook: PreSync
argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
{{ end -}}
argocd.argoproj.io/sync-wave: "-10"
{{- else if eq (include "pgrollout.hookInstall" .) "pre" -}}
helm.sh/hook: {{ eq $hook.upgrade "pre" | ternary "pre-install,pre-upgrade" "pre-install" }}
helm.sh/hook-weight: {{ sub $hook.weight 5 | quote }}
helm.sh/hook-delete-policy: before-hook-creation
helm.sh/resource-policy: keep
meta.helm.sh/release-name: {{ .Release.Name }}
meta.helm.sh/release-namespace: {{ .Release.Namespace }}
{{- end -}}
{{- end }}

{{- /* Of what hooks of prefect mode need: before them, in Argo CD's waves. (dict "root" . "wave" -8) */}}
{{- define "pgrollout.wave" -}}
{{- if .root.Values.argocd.enabled -}}
annotations:
  argocd.argoproj.io/sync-wave: {{ .wave | quote }}
{{- end -}}
{{- end }}
