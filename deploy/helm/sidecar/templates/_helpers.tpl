{{- define "sidecar.fullname" -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sidecar.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "sidecar.labels" -}}
{{ include "sidecar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sidecar.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "sidecar.fullname" .) -}}
{{- end -}}

{{- define "sidecar.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* services.nightly-report.keys -> SIDECAR_SERVICES__NIGHTLY_REPORT__KEYS_FILE */ -}}
{{- define "sidecar.fileVariable" -}}
SIDECAR_{{ . | replace "." "__" | replace "-" "_" | upper }}_FILE
{{- end -}}

{{- /* sidecar.yaml: what the user wrote, and the two settings that follow from being in this pod. */ -}}
{{- define "sidecar.config" -}}
{{- $own := dict "listen" (dict "proxy" "127.0.0.1:4100" "ops" "0.0.0.0:4101" "control" "127.0.0.1:4102") -}}
{{- if eq .Values.store.kind "sqlite" -}}
{{- $_ := set $own "store" "sqlite:///var/lib/sidecar/sidecar.db" -}}
{{- end -}}
{{- merge $own .Values.config | toYaml -}}
{{- end -}}

{{- /* What the schema cannot say: rules between values, and secrets where they would be readable. */ -}}
{{- define "sidecar.validate" -}}
{{- $settings := .Values.secrets.settings -}}
{{- if not (hasKey $settings "encryption.keys") -}}
{{- fail "secrets.settings: encryption.keys is missing; put a key made by `sidecar keys new` into the Secret and name it here" -}}
{{- end -}}
{{- if and (eq .Values.store.kind "sqlite") (gt (int .Values.replicas) 1) -}}
{{- fail "replicas: a SQLite store belongs to one process; use store.kind: redis for more than one pod" -}}
{{- end -}}
{{- if and (eq .Values.store.kind "redis") (not (hasKey $settings "store")) -}}
{{- fail "secrets.settings: store is missing; store.kind: redis reads the Redis URL from the Secret" -}}
{{- end -}}
{{- if and (eq .Values.store.kind "sqlite") (hasKey $settings "store") -}}
{{- fail "secrets.settings: store is only for store.kind: redis" -}}
{{- end -}}
{{- if hasKey .Values.config "listen" -}}
{{- fail "config.listen: leave it out; the probes and the app's SIDECAR_URL rest on the chart's listeners" -}}
{{- end -}}
{{- if hasKey .Values.config "store" -}}
{{- fail "config.store: leave it out; choose store.kind, and give a Redis URL through secrets.settings" -}}
{{- end -}}
{{- $places := list (list "encryption" .Values.config.encryption (list "keys")) -}}
{{- $places = append $places (list "identity" .Values.config.identity (list "client_secret" "webhook_secrets")) -}}
{{- $places = append $places (list "admin" .Values.config.admin (list "keys")) -}}
{{- range $name, $provider := .Values.config.providers -}}
{{- $places = append $places (list (printf "providers.%s" $name) $provider (list "client_secret")) -}}
{{- end -}}
{{- range $name, $service := .Values.config.services -}}
{{- $places = append $places (list (printf "services.%s" $name) $service (list "keys")) -}}
{{- end -}}
{{- range $place := $places -}}
{{- range $name := index $place 2 -}}
{{- if hasKey (index $place 1 | default dict) $name -}}
{{- fail (printf "config.%s.%s is a secret: put it into the Secret and name its key under secrets.settings" (index $place 0) $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
