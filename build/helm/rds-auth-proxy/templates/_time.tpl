{{/* A duration (500ms, 30s, 5m, 1h, 0) in whole seconds, rounded up. */}}
{{- define "rds-auth-proxy.seconds" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+" $text | int -}}
{{- if hasSuffix "ms" $text -}}
{{- div (add $number 999) 1000 -}}
{{- else if hasSuffix "h" $text -}}
{{- mul $number 3600 -}}
{{- else if hasSuffix "m" $text -}}
{{- mul $number 60 -}}
{{- else -}}
{{- $number -}}
{{- end -}}
{{- end -}}

{{/* Seconds until the kubelet kills the pod: shutdown delay, drain, and five seconds for the last log lines. */}}
{{- define "rds-auth-proxy.grace" -}}
{{- $own := .Values.deployment.terminationGracePeriodSeconds -}}
{{- $drain := toString .Values.proxy.drainTimeout -}}
{{- if eq $drain "forever" -}}
{{- required "proxy.drainTimeout is `forever`: set deployment.terminationGracePeriodSeconds, after which the kubelet kills the pod" $own -}}
{{- else -}}
{{- $needed := add (include "rds-auth-proxy.seconds" .Values.proxy.shutdownDelay | int) (include "rds-auth-proxy.seconds" $drain | int) 5 -}}
{{- if and (not (kindIs "invalid" $own)) (lt (int $own) (int $needed)) -}}
{{- fail (printf "deployment.terminationGracePeriodSeconds (%d) is shorter than proxy.shutdownDelay + proxy.drainTimeout + 5 s (%d): the kubelet would cut sessions off" (int $own) (int $needed)) -}}
{{- end -}}
{{- if kindIs "invalid" $own -}}{{- $needed -}}{{- else -}}{{- int $own -}}{{- end -}}
{{- end -}}
{{- end -}}
