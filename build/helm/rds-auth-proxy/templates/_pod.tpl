{{/*
With the admin listener the pod says by itself whether it lives and whether it may get connections. Without it a probe can
only see that the proxy accepts; such a probe appears in the proxy's log as an application that went away at once.
*/}}
{{- define "rds-auth-proxy.probes" -}}
{{- if .Values.proxy.admin.enabled -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- else -}}
livenessProbe:
  tcpSocket: {port: postgres}
  initialDelaySeconds: 5
  periodSeconds: 20
readinessProbe:
  tcpSocket: {port: postgres}
  periodSeconds: 10
{{- end -}}
{{- end -}}

{{- define "rds-auth-proxy.topology-spread" -}}
{{- if .Values.deployment.topologySpread.enabled -}}
{{- $selector := dict "matchLabels" (include "rds-auth-proxy.selector" . | fromYaml) -}}
{{- $constraints := .Values.deployment.topologySpread.constraints -}}
{{- if not $constraints -}}
{{- $constraints = list
      (dict "topologyKey" "topology.kubernetes.io/zone" "maxSkew" 1 "whenUnsatisfiable" "ScheduleAnyway" "matchLabelKeys" (list "pod-template-hash"))
      (dict "topologyKey" "kubernetes.io/hostname" "maxSkew" 1 "whenUnsatisfiable" "ScheduleAnyway" "matchLabelKeys" (list "pod-template-hash")) -}}
{{- end -}}
{{- range $constraints }}
- {{ merge (deepCopy .) (dict "labelSelector" $selector) | toYaml | nindent 2 | trim }}
{{- end }}
{{- end -}}
{{- end -}}
