{{/*
The number of pods. With autoscaling it is that of the running Deployment: without the line, the upgrade that switches autoscaling
on would scale to 1 until the autoscaler acts, and end the sessions of the other pods. Empty where there is no Deployment yet, and
where `lookup` finds nothing (`helm template`, Argo CD): a fixed number would be set again at every sync.
*/}}
{{- define "rds-auth-proxy.replicas" -}}
{{- if not .Values.autoscaling.enabled -}}
{{- .Values.deployment.replicaCount -}}
{{- else -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace (include "rds-auth-proxy.fullname" .) -}}
{{- if $live -}}
{{- $replicas := dig "spec" "replicas" "" $live -}}
{{- if not (kindIs "string" $replicas) -}}{{- int $replicas -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
