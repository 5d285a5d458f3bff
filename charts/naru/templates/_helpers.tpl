{{- define "naru.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "naru" .Release.Name -}}
{{- printf "%s-operator" (.Release.Name | trunc 54) -}}
{{- else -}}
{{- printf "%s-naru-operator" (.Release.Name | trunc 49) -}}
{{- end -}}
{{- end -}}

{{- define "naru.selectorLabels" -}}
app.kubernetes.io/name: naru-operator
app.kubernetes.io/instance: {{ .Release.Name }}
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
