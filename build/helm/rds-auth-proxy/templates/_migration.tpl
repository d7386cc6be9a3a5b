{{/*
Values of the Go program's chart that have another spelling or another effect here. Each error names the line to change.
*/}}

{{/* Its schema had keys of `ssl` that its program ignored, and its certificates were mounted at the root. */}}
{{- define "rds-auth-proxy.check-targets" -}}
{{- range $name, $target := . -}}
{{- $ssl := default dict $target.ssl -}}
{{- range $old, $new := dict "clientCertificatePath" "client_certificate" "clientPrivateKey" "client_private_key" "clientPrivateKeyPath" "client_private_key" "rootCertificatePath" "root_certificate" -}}
{{- if hasKey $ssl $old -}}
{{- fail (printf "proxy.targets.%s.ssl.%s: write %s, the name of this key in the configuration file" $name $old $new) -}}
{{- end -}}
{{- end -}}
{{- range $key, $path := $ssl -}}
{{- if regexMatch "^/(client|server)-tls/" (toString $path) -}}
{{- fail (printf "proxy.targets.%s.ssl.%s: %s is now /etc/rds-auth-proxy%s" $name $key $path $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The kubelet refuses to start such a pod, and says so only in an event. */}}
{{- define "rds-auth-proxy.check-user" -}}
{{- $own := .Values.deployment.securityContext -}}
{{- $pod := .Values.deployment.podSecurityContext -}}
{{- $user := ternary $own.runAsUser $pod.runAsUser (hasKey $own "runAsUser") -}}
{{- $forbidden := ternary $own.runAsNonRoot $pod.runAsNonRoot (hasKey $own "runAsNonRoot") -}}
{{- if and $forbidden (not (kindIs "invalid" $user)) (eq (int $user) 0) -}}
{{- fail "deployment.securityContext or .podSecurityContext has runAsUser 0, which runAsNonRoot forbids: remove runAsUser (the image needs no root), or set deployment.podSecurityContext.runAsNonRoot to false" -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes cannot change the selector of a Deployment. `lookup` finds nothing in `helm template` and client-side dry runs. */}}
{{- define "rds-auth-proxy.check-selector" -}}
{{- $name := include "rds-auth-proxy.fullname" . -}}
{{- $found := lookup "apps/v1" "Deployment" .Release.Namespace $name -}}
{{- if $found -}}
{{- $old := index (default dict $found.spec.selector.matchLabels) "app.kubernetes.io/name" | default "" -}}
{{- if and $old (ne $old (include "rds-auth-proxy.name-label" .)) -}}
{{- fail (printf "the Deployment %s selects its pods by app.kubernetes.io/name=%s, which Kubernetes cannot change: set deployment.nameLabel to %s, or delete the Deployment before this upgrade" $name $old $old) -}}
{{- end -}}
{{- end -}}
{{- end -}}
