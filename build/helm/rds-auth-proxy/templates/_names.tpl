{{/* The name of all objects. A label value has at most 63 characters. */}}
{{- define "rds-auth-proxy.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $chart .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $chart | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name with a suffix: dict "root" $ "suffix" "server-tls" */}}
{{- define "rds-auth-proxy.name-with" -}}
{{- $room := sub 62 (len .suffix) | int -}}
{{- printf "%s-%s" (include "rds-auth-proxy.fullname" .root | trunc $room | trimSuffix "-") .suffix -}}
{{- end -}}

{{/* The pod label app.kubernetes.io/name. */}}
{{- define "rds-auth-proxy.name-label" -}}
{{- default (include "rds-auth-proxy.fullname" .) .Values.deployment.nameLabel -}}
{{- end -}}

{{/* The labels that select the pods; clients use the first one. Do not change them: selectors are immutable. */}}
{{- define "rds-auth-proxy.selector" -}}
app.kubernetes.io/name: {{ include "rds-auth-proxy.name-label" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rds-auth-proxy.labels" -}}
{{ include "rds-auth-proxy.selector" . }}
app.kubernetes.io/component: server
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{/* The DNS names of the Service, from the shortest to the whole one. */}}
{{- define "rds-auth-proxy.service-names" -}}
{{- $name := include "rds-auth-proxy.fullname" . -}}
- {{ $name }}
- {{ $name }}.{{ .Release.Namespace }}
- {{ $name }}.{{ .Release.Namespace }}.svc
- {{ $name }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterName }}
{{- end -}}

{{/* Not empty if the Service has the admin port. */}}
{{- define "rds-auth-proxy.service-admin" -}}
{{- if and .Values.service.enabled .Values.proxy.admin.enabled (eq .Values.service.type "ClusterIP") }}true{{ end -}}
{{- end -}}

{{- define "rds-auth-proxy.service-account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "rds-auth-proxy.fullname" .) .Values.serviceAccountName -}}
{{- else -}}
{{- default "default" .Values.serviceAccountName -}}
{{- end -}}
{{- end -}}

{{/* repository[:tag|@digest]; a repository that already has one stays unchanged. */}}
{{- define "rds-auth-proxy.image" -}}
{{- $image := .Values.deployment.image -}}
{{- $repository := required "deployment.image.repository is empty: set it to the image that you have built and pushed, e.g. --set deployment.image.repository=REGISTRY/rds-auth-proxy" $image.repository -}}
{{- if or (contains "@" $repository) (regexMatch ":[^/]+$" $repository) -}}
{{- if or $image.tag $image.digest -}}
{{- fail (printf "deployment.image.repository (%s) names a tag or digest already: leave deployment.image.tag and .digest empty" $repository) -}}
{{- end -}}
{{- $repository -}}
{{- else if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}
