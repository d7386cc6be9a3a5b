{{/*
config.yaml of the program. Built as a dictionary and printed by toYaml, which quotes all values correctly; then
proxy.config is merged over it.
*/}}
{{- define "rds-auth-proxy.config" -}}
{{- $values := .Values.proxy -}}
{{- $proxy := dict
      "listen_addr" (printf "%s:%d" $values.listenHost (int $values.port))
      "ssl" (include "rds-auth-proxy.config-ssl" . | fromYaml)
      "target_acl" (dict
        "allowed_rds_tags" (include "rds-auth-proxy.config-tags" $values.allowedRDSTags | fromYamlArray)
        "blocked_rds_tags" (include "rds-auth-proxy.config-tags" $values.blockedRDSTags | fromYamlArray))
      "shutdown_delay" (toString $values.shutdownDelay)
      "drain_timeout" (toString $values.drainTimeout)
      "log_level" $values.logLevel -}}
{{- $perPeer := $values.maxConnectionsPerPeer -}}
{{- if and (kindIs "invalid" $perPeer) (include "rds-auth-proxy.strict-defaults" .) -}}
{{- $perPeer = div (add1 (int (default 1000 $values.maxConnections))) 2 -}}
{{- end -}}
{{- if $values.admin.enabled -}}
{{- $_ := set $proxy "admin_addr" (printf "%s:%d" $values.listenHost (int $values.admin.port)) -}}
{{- $hosts := $values.admin.hosts -}}
{{- if include "rds-auth-proxy.service-admin" . -}}
{{- $hosts = concat (include "rds-auth-proxy.service-names" . | fromYamlArray) $hosts | uniq -}}
{{- end -}}
{{- if $hosts -}}{{- $_ := set $proxy "admin_hosts" $hosts -}}{{- end -}}
{{- end -}}
{{- if $values.admin.socket -}}
{{- $_ := set $proxy "admin_socket" "/run/rds-auth-proxy/admin/socket" -}}
{{- end -}}
{{- range $key, $value := dict
      "max_connections" $values.maxConnections
      "max_connections_per_peer" $perPeer
      "max_logins_per_target" $values.maxLoginsPerTarget
      "max_logins_per_peer" $values.maxLoginsPerPeer -}}
{{- if $value -}}{{- $_ := set $proxy $key (int $value) -}}{{- end -}}
{{- end -}}
{{- range $key, $value := dict
      "handshake_timeout" $values.handshakeTimeout
      "connect_timeout" $values.connectTimeout
      "idle_timeout" $values.idleTimeout -}}
{{- if $value -}}{{- $_ := set $proxy $key (toString $value) -}}{{- end -}}
{{- end -}}
{{- $rds := dict "enabled" $values.rds.enabled -}}
{{- if $values.rds.regions -}}{{- $_ := set $rds "regions" $values.rds.regions -}}{{- end -}}
{{- if $values.rds.rootCertificate -}}{{- $_ := set $rds "root_certificate" $values.rds.rootCertificate -}}{{- end -}}
{{- if $values.rds.maxAge -}}{{- $_ := set $rds "max_age" (toString $values.rds.maxAge) -}}{{- end -}}
{{- $config := dict "proxy" $proxy "rds" $rds -}}
{{- if $values.targets -}}{{- $_ := set $config "targets" $values.targets -}}{{- end -}}
{{- include "rds-auth-proxy.check-targets" $values.targets -}}
{{- range $key, $owner := dict
      "listen_addr" "proxy.listenHost and proxy.port"
      "admin_addr" "proxy.admin"
      "admin_hosts" "proxy.admin.hosts"
      "admin_socket" "proxy.admin.socket"
      "drain_timeout" "proxy.drainTimeout"
      "shutdown_delay" "proxy.shutdownDelay" -}}
{{- if hasKey (default dict $values.config.proxy) $key -}}
{{- fail (printf "proxy.config.proxy.%s: set %s instead, because other parts of the chart depend on it" $key $owner) -}}
{{- end -}}
{{- end -}}
{{- mergeOverwrite $config (deepCopy $values.config) | toYaml -}}
{{- end -}}

{{/*
Not empty where the strict defaults apply: in a new release and in one that was new with them, which the annotation of its
ConfigMap shows. An upgrade leaves an older release as it is. `helm template` cannot know the release: it counts as new
unless it has --is-upgrade.
*/}}
{{- define "rds-auth-proxy.strict-defaults" -}}
{{- $config := lookup "v1" "ConfigMap" .Release.Namespace (include "rds-auth-proxy.fullname" .) -}}
{{- $annotations := default dict (default dict $config.metadata).annotations -}}
{{- if or .Release.IsInstall (hasKey $annotations "rds-auth-proxy/strict-defaults") -}}true{{- end -}}
{{- end -}}

{{- define "rds-auth-proxy.config-ssl" -}}
{{- $ssl := .Values.proxy.ssl -}}
enabled: {{ $ssl.enabled }}
{{- if and $ssl.required (not $ssl.enabled) }}
{{- fail "proxy.ssl.required needs proxy.ssl.enabled: without TLS the server would refuse every connection" }}
{{- end }}
{{- $default := and $ssl.enabled (include "rds-auth-proxy.strict-defaults" .) }}
{{- if ternary $default $ssl.required (kindIs "invalid" $ssl.required) }}
required: true
{{- end }}
{{- if include "rds-auth-proxy.server-secret" . }}
certificate: /etc/rds-auth-proxy/server-tls/tls.crt
private_key: /etc/rds-auth-proxy/server-tls/tls.key
{{- else if and $ssl.enabled $ssl.certificatePath }}
certificate: {{ $ssl.certificatePath | quote }}
private_key: {{ required "proxy.ssl.certificatePath needs proxy.ssl.keyPath beside it" $ssl.keyPath | quote }}
{{- end }}
{{- if ne $ssl.clientAuth "none" }}
{{- if not $ssl.enabled }}
{{- fail "proxy.ssl.clientAuth needs proxy.ssl.enabled: without TLS there are no client certificates" }}
{{- end }}
client_auth: {{ $ssl.clientAuth }}
client_ca: {{ include "rds-auth-proxy.client-ca" . | quote }}
{{- end }}
{{- if .Values.proxy.certManager.enabled }}
client_certificate: /etc/rds-auth-proxy/client-tls/tls.crt
client_private_key: /etc/rds-auth-proxy/client-tls/tls.key
{{- else if $ssl.clientCertificatePath }}
client_certificate: {{ $ssl.clientCertificatePath | quote }}
client_private_key: {{ required "proxy.ssl.clientCertificatePath needs proxy.ssl.clientPrivateKey beside it" (coalesce $ssl.clientPrivateKey $ssl.clientPrivateKeyPath) | quote }}
{{- end }}
{{- end -}}

{{/* Tag values are strings in the configuration, so `value: true` in a values file becomes "true". */}}
{{- define "rds-auth-proxy.config-tags" -}}
{{- range . }}
- name: {{ .name | quote }}
  value: {{ .value | toString | quote }}
{{- else -}}
[]
{{- end }}
{{- end -}}

{{/* The name of the Secret with the server certificate; empty if there is none to mount. */}}
{{- define "rds-auth-proxy.server-secret" -}}
{{- if .Values.proxy.ssl.enabled -}}
{{- if .Values.proxy.certManager.enabled -}}
{{- include "rds-auth-proxy.name-with" (dict "root" . "suffix" "server-tls") -}}
{{- else -}}
{{- .Values.proxy.ssl.secretName -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of the Secret with the CA of client certificates; empty if there is none to mount. */}}
{{- define "rds-auth-proxy.client-ca-secret" -}}
{{- if ne .Values.proxy.ssl.clientAuth "none" -}}{{- .Values.proxy.ssl.clientCASecretName -}}{{- end -}}
{{- end -}}

{{/* The path of that CA in the container. */}}
{{- define "rds-auth-proxy.client-ca" -}}
{{- if include "rds-auth-proxy.client-ca-secret" . -}}
/etc/rds-auth-proxy/client-ca/ca.crt
{{- else -}}
{{- required "proxy.ssl.clientAuth needs proxy.ssl.clientCASecretName or proxy.ssl.clientCAPath beside it" .Values.proxy.ssl.clientCAPath -}}
{{- end -}}
{{- end -}}

{{/* The keys of each target that clients need; the TLS settings are only for the server. */}}
{{- define "rds-auth-proxy.client-targets" -}}
{{- $targets := dict -}}
{{- range $name, $target := .Values.proxy.targets -}}
{{- $_ := set $targets $name (pick $target "host" "rds" "database" "local_port") -}}
{{- end -}}
{{- toYaml $targets -}}
{{- end -}}
