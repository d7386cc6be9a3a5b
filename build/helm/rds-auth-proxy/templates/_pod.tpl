{{/*
The admin listener reports liveness and readiness. Without it a probe only checks that the proxy accepts connections;
such a probe appears in the log as an application that disconnected at once.
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
