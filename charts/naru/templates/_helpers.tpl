{{/*
What everything is named after. A Service's name is the narrowest of them: 63 letters with "-metrics" at its end, no dot,
no digit at its beginning. A release may be called so.
*/}}
{{- define "naru.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $release := regexReplaceAll "^([0-9])" (replace "." "-" .Release.Name) "naru-${1}" -}}
{{- if contains "naru" $release -}}
{{- printf "%s-operator" ($release | trunc 46 | trimSuffix "-") -}}
{{- else -}}
{{- printf "%s-naru-operator" ($release | trunc 41 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "naru.selectorLabels" -}}
app.kubernetes.io/name: naru-operator
app.kubernetes.io/instance: {{ toYaml .Release.Name }}
{{- end -}}

{{- define "naru.labels" -}}
{{ include "naru.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: naru
{{- end -}}

{{- define "naru.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "naru.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* An image by digest where there is one, else by tag, else by the chart's appVersion. */}}
{{- define "naru.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "naru.priorityClassName" -}}
{{- .Values.priorityClass.name | default (ternary (include "naru.fullname" .) "" .Values.priorityClass.create) -}}
{{- end -}}

{{- define "naru.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "naru.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}
