{{/* The chart's name, for labels. */}}
{{- define "segno.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of the release's objects. */}}
{{- define "segno.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "segno.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "segno.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What the release's pods are found by: never changes. */}}
{{- define "segno.selectorLabels" -}}
app.kubernetes.io/name: {{ include "segno.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "segno.labels" -}}
{{ include "segno.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "segno.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "segno.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "segno.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "segno.configMap" -}}
{{- .Values.existingConfigMap | default (include "segno.fullname" .) }}
{{- end }}

{{/* The pods of both modes. */}}
{{- define "segno.pod" -}}
metadata:
  labels:
    {{- include "segno.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- if not .Values.existingConfigMap }}
    # A changed configuration makes new pods.
    checksum/config: {{ .Values.config | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "segno.serviceAccountName" . }}
  # Segno itself calls no Kubernetes.
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: segno
      image: {{ include "segno.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - up
        - --config=/etc/segno/segno.toml
        - --http=0.0.0.0:{{ .Values.http.port }}
        {{- if and .Values.grpc.enabled (eq .Values.mode "embedded") }}
        - --grpc=0.0.0.0:{{ .Values.grpc.port }}
        {{- end }}
        {{- if .Values.http.allowUnauthenticated }}
        - --allow-unauthenticated
        {{- end }}
        {{- if .Values.http.allowPlaintext }}
        - --allow-plaintext
        {{- end }}
      env:
        - name: SEGNO_LOG_FORMAT
          value: json
        - name: SEGNO_DATA
          value: /var/lib/segno
        {{- if eq .Values.mode "temporal" }}
        - name: TEMPORAL_ADDRESS
          value: {{ required "temporal.address is required in the mode temporal" .Values.temporal.address | quote }}
        - name: TEMPORAL_NAMESPACE
          value: {{ .Values.temporal.namespace | quote }}
        {{- with .Values.temporal.apiKey }}
        {{- if .existingSecret }}
        - name: TEMPORAL_API_KEY
          valueFrom:
            secretKeyRef:
              name: {{ .existingSecret }}
              key: {{ .key }}
        {{- end }}
        {{- end }}
        {{- with .Values.temporal.tls }}
        {{- if .enabled }}
        - name: TEMPORAL_TLS
          value: "true"
        {{- with .serverName }}
        - name: TEMPORAL_TLS_SERVER_NAME
          value: {{ . | quote }}
        {{- end }}
        {{- if .existingSecret }}
        {{- range $name, $key := dict "TEMPORAL_TLS_CLIENT_CERT_DATA" "tls.crt" "TEMPORAL_TLS_CLIENT_KEY_DATA" "tls.key" "TEMPORAL_TLS_SERVER_CA_CERT_DATA" "ca.crt" }}
        - name: {{ $name }}
          valueFrom:
            secretKeyRef:
              name: {{ $.Values.temporal.tls.existingSecret }}
              key: {{ $key }}
              optional: true
        {{- end }}
        {{- end }}
        {{- end }}
        {{- end }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.secrets.env }}
      envFrom:
        {{- range . }}
        - secretRef:
            name: {{ . }}
        {{- end }}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ .Values.http.port }}
        {{- if and .Values.grpc.enabled (eq .Values.mode "embedded") }}
        - name: grpc
          containerPort: {{ .Values.grpc.port }}
        {{- end }}
      # Opening a large engine's file after a crash takes its time.
      startupProbe:
        httpGet:
          path: /livez
          port: http
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet:
          path: /livez
          port: http
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /readyz
          port: http
        periodSeconds: 5
        timeoutSeconds: 3
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/segno
          readOnly: true
        - name: data
          mountPath: /var/lib/segno
        - name: tmp
          mountPath: /tmp
        {{- if .Values.secrets.files }}
        - name: secrets
          mountPath: /run/secrets/segno
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "segno.configMap" . }}
    - name: tmp
      emptyDir: {}
    {{- if eq .Values.mode "temporal" }}
    # What file sinks write; the cluster keeps everything else.
    - name: data
      emptyDir: {}
    {{- end }}
    {{- with .Values.secrets.files }}
    - name: secrets
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity:
    {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if eq .Values.mode "temporal" }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "segno.selectorLabels" . | nindent 16 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
