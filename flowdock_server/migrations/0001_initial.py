import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import flowdock_server.secrets.tokens
import oauth2_provider.generators
import oauth2_provider.models
import re
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.BigIntegerField()),
                ('event', models.CharField(choices=[('message', 'Message'), ('comment', 'Comment'), ('status', 'Status'), ('file', 'File'), ('action', 'Action'), ('tag-change', 'Tag Change'), ('message-edit', 'Message Edit'), ('activity', 'Activity'), ('discussion', 'Discussion'), ('mail', 'Mail')], max_length=20)),
                ('title', models.TextField(blank=True)),
                ('body', models.TextField(blank=True)),
                ('content', models.TextField(blank=True)),
                ('data', models.JSONField(blank=True, null=True)),
                ('author_name', models.CharField(blank=True, max_length=255)),
                ('author_email', models.CharField(blank=True, max_length=255)),
                ('author_avatar', models.CharField(blank=True, max_length=2000)),
                ('external_user_name', models.CharField(blank=True, max_length=255)),
                ('tags', models.JSONField(default=list)),
                ('uuid', models.CharField(blank=True, max_length=255, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('edited_at', models.DateTimeField(null=True)),
                ('parent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='comments', to='flowdock_server.message')),
            ],
            options={
                'ordering': ['number'],
            },
        ),
        migrations.CreateModel(
            name='User',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('email', models.EmailField(max_length=254, unique=True)),
                ('name', models.CharField(max_length=100)),
                ('nick', models.CharField(max_length=50)),
                ('avatar', models.URLField(blank=True, max_length=2000)),
                ('website', models.URLField(blank=True, max_length=2000)),
                ('status', models.TextField(blank=True)),
                ('is_active', models.BooleanField(default=True)),
                ('last_activity_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_ping_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('sessions_ended', models.PositiveIntegerField(default=0, editable=False)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Flow',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('parameterized_name', models.CharField(max_length=100, validators=[django.core.validators.RegexValidator(re.compile('\\A[a-z0-9][a-z0-9_-]*\\Z'), 'may hold a-z, 0-9, hyphen and underscore')])),
                ('access_mode', models.CharField(choices=[('invitation', 'Invited people only'), ('link', 'Anyone with the link'), ('organization', 'Anyone in the organization')], default='invitation', max_length=12)),
                ('disabled', models.BooleanField(default=False, help_text='Archived: members can read it, and nobody can post')),
                ('api_token_digest', models.CharField(editable=False, max_length=64, null=True, unique=True)),
                ('join_nonce', models.CharField(default=flowdock_server.secrets.tokens.new_token, editable=False, max_length=32)),
                ('last_number', models.BigIntegerField(default=0, editable=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'ordering': ['organization__name', 'name'],
            },
        ),
        migrations.CreateModel(
            name='Organization',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('parameterized_name', models.CharField(max_length=100, unique=True, validators=[django.core.validators.RegexValidator(re.compile('\\A[a-z0-9][a-z0-9_-]*\\Z'), 'may hold a-z, 0-9, hyphen and underscore')])),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='SignInFailures',
            fields=[
                ('key', models.CharField(editable=False, max_length=64, primary_key=True, serialize=False)),
                ('count', models.PositiveIntegerField()),
                ('last_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.AddField(
            model_name='message',
            name='user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='messages', to=settings.AUTH_USER_MODEL),
        ),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_tokens', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='Application',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('client_id', models.CharField(db_index=True, default=oauth2_provider.generators.generate_client_id, max_length=255, unique=True, verbose_name='client ID')),
                ('redirect_uris', models.TextField(blank=True, help_text='Allowed URIs list, space separated', verbose_name='redirect URIs')),
                ('post_logout_redirect_uris', models.TextField(blank=True, default='', help_text='Allowed Post Logout URIs list, space separated', verbose_name='post logout redirect URIs')),
                ('client_type', models.CharField(choices=[('confidential', 'Confidential'), ('public', 'Public')], max_length=32, verbose_name='client type')),
                ('authorization_grant_type', models.CharField(choices=[('authorization-code', 'Authorization code'), ('urn:ietf:params:oauth:grant-type:device_code', 'Device Code'), ('implicit', 'Implicit'), ('password', 'Resource owner password-based'), ('client-credentials', 'Client credentials'), ('openid-hybrid', 'OpenID connect hybrid')], max_length=44, verbose_name='authorization grant type')),
                ('client_secret', oauth2_provider.models.ClientSecretField(blank=True, db_index=True, default=oauth2_provider.generators.generate_client_secret, help_text='Client secret for authentication', max_length=255, verbose_name='client secret')),
                ('hash_client_secret', models.BooleanField(default=True, verbose_name='hash client secret')),
                ('name', models.CharField(blank=True, max_length=255, verbose_name='name')),
                ('skip_authorization', models.BooleanField(default=False, verbose_name='skip authorization')),
                ('created', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('updated', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('algorithm', models.CharField(blank=True, choices=[('', 'No OIDC support'), ('RS256', 'RSA with SHA-2 256'), ('HS256', 'HMAC with SHA-2 256')], default='', max_length=5, verbose_name='algorithm')),
                ('allowed_origins', models.TextField(blank=True, default='', help_text='Allowed origins list to enable CORS, space separated', verbose_name='allowed origins')),
                ('registration_source', models.CharField(choices=[('manual', 'Manual'), ('dcr', 'Dynamic Client Registration'), ('cimd', 'Client ID Metadata Document')], default='manual', help_text='How this application was registered (manual, DCR per RFC 7591, or CIMD)', max_length=32, verbose_name='registration source')),
                ('cimd_expires_at', models.DateTimeField(blank=True, default=None, help_text='When the cached Client ID Metadata Document should be re-fetched', null=True, verbose_name='CIMD expires at')),
                ('icon', models.CharField(blank=True, help_text='URL of a square picture', max_length=2000)),
                ('description', models.TextField(blank=True)),
                ('setup_uri', models.CharField(blank=True, max_length=2000)),
                ('configuration_uri', models.CharField(blank=True, max_length=2000)),
                ('published', models.BooleanField(default=False, help_text='Available in the inbox settings of every flow')),
                ('sealed_secret', models.TextField(blank=True, editable=False)),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='applications', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Conversation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('last_number', models.BigIntegerField(default=0, editable=False)),
                ('first_open', models.BooleanField(default=False)),
                ('second_open', models.BooleanField(default=False)),
                ('first_read_number', models.BigIntegerField(default=0)),
                ('second_read_number', models.BigIntegerField(default=0)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('first', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('second', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='EmailChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(max_length=254)),
                ('token_digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('requested_at', models.DateTimeField(editable=False)),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='email_change', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddField(
            model_name='message',
            name='flow',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='flowdock_server.flow'),
        ),
        migrations.CreateModel(
            name='FlowMembership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('open', models.BooleanField(default=True)),
                ('disabled', models.BooleanField(default=False)),
                ('last_read_number', models.BigIntegerField(default=0)),
                ('inbox_read_number', models.BigIntegerField(default=0)),
                ('joined_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('flow', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='flowdock_server.flow')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flow_memberships', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddField(
            model_name='flow',
            name='members',
            field=models.ManyToManyField(related_name='flows', through='flowdock_server.FlowMembership', to=settings.AUTH_USER_MODEL),
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(max_length=254)),
                ('message', models.TextField(blank=True)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('accepted', 'Accepted')], default='pending', max_length=8)),
                ('token_digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('accepted_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('flow', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='invitations', to='flowdock_server.flow')),
                ('invited_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='invitations', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('admin', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='flowdock_server.organization')),
            ],
        ),
        migrations.AddField(
            model_name='flow',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flows', to='flowdock_server.organization'),
        ),
        migrations.CreateModel(
            name='PrivateMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.BigIntegerField()),
                ('event', models.CharField(choices=[('message', 'Message'), ('file', 'File'), ('tag-change', 'Tag Change'), ('message-edit', 'Message Edit')], default='message', max_length=20)),
                ('content', models.TextField(blank=True)),
                ('data', models.JSONField(blank=True, null=True)),
                ('tags', models.JSONField(default=list)),
                ('uuid', models.CharField(blank=True, max_length=255, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('edited_at', models.DateTimeField(null=True)),
                ('conversation', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='flowdock_server.conversation')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='private_messages', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['number'],
            },
        ),
        migrations.CreateModel(
            name='Attachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('content_id', models.CharField(blank=True, max_length=255)),
                ('file_name', models.CharField(max_length=255)),
                ('content_type', models.CharField(max_length=255)),
                ('size', models.BigIntegerField(help_text='Bytes')),
                ('key', models.CharField(default=flowdock_server.secrets.tokens.new_file_key, editable=False, max_length=64, unique=True)),
                ('width', models.PositiveIntegerField(blank=True, null=True)),
                ('height', models.PositiveIntegerField(blank=True, null=True)),
                ('thumbnail_width', models.PositiveIntegerField(blank=True, null=True)),
                ('thumbnail_height', models.PositiveIntegerField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('message', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='attachments', to='flowdock_server.message')),
                ('uploaded_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='attachments', to=settings.AUTH_USER_MODEL)),
                ('flow', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='attachments', to='flowdock_server.flow')),
                ('private_message', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='attachments', to='flowdock_server.privatemessage')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='PrivateTag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tag_rows', to='flowdock_server.privatemessage')),
            ],
        ),
        migrations.CreateModel(
            name='Source',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=255)),
                ('external_url', models.CharField(blank=True, max_length=2000)),
                ('token_digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('error_message', models.TextField(blank=True)),
                ('configuration_url', models.CharField(blank=True, max_length=2000)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('removed_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('application', models.ForeignKey(on_delete=django.db.models.deletion.RESTRICT, related_name='sources', to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                ('creator', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='sources', to=settings.AUTH_USER_MODEL)),
                ('flow', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sources', to='flowdock_server.flow')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.AddField(
            model_name='message',
            name='source',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='messages', to='flowdock_server.source'),
        ),
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tag_rows', to='flowdock_server.message')),
            ],
        ),
        migrations.CreateModel(
            name='Thread',
            fields=[
                ('id', models.CharField(default=flowdock_server.secrets.tokens.new_thread_id, editable=False, max_length=27, primary_key=True, serialize=False)),
                ('external_thread_id', models.CharField(blank=True, max_length=255, null=True)),
                ('title', models.TextField(blank=True)),
                ('body', models.TextField(blank=True)),
                ('external_url', models.TextField(blank=True)),
                ('status_value', models.CharField(blank=True, max_length=255)),
                ('status_color', models.CharField(blank=True, choices=[('red', 'Red'), ('green', 'Green'), ('yellow', 'Yellow'), ('cyan', 'Cyan'), ('orange', 'Orange'), ('grey', 'Grey'), ('black', 'Black'), ('lime', 'Lime'), ('purple', 'Purple'), ('blue', 'Blue')], max_length=6)),
                ('fields', models.JSONField(default=list)),
                ('actions', models.JSONField(default=list)),
                ('initial_number', models.BigIntegerField(default=0, help_text='Number of the first message')),
                ('last_number', models.BigIntegerField(default=0, help_text='Number of the latest message')),
                ('activities', models.PositiveIntegerField(default=0)),
                ('internal_comments', models.PositiveIntegerField(default=0, help_text='Number of chat messages')),
                ('external_comments', models.PositiveIntegerField(default=0, help_text='Number of discussions')),
                ('empty', models.BooleanField(default=False)),
                ('last_event', models.CharField(blank=True, max_length=20)),
                ('last_author', models.CharField(blank=True, max_length=255)),
                ('last_title', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('flow', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='threads', to='flowdock_server.flow')),
                ('source', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='threads', to='flowdock_server.source')),
            ],
        ),
        migrations.AddField(
            model_name='message',
            name='thread',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='flowdock_server.thread'),
        ),
        migrations.CreateModel(
            name='ThreadMark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('done_at', models.DateTimeField(blank=True, null=True)),
                ('read_number', models.BigIntegerField(default=0)),
                ('thread', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='marks', to='flowdock_server.thread')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='thread_marks', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='UsedCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code_digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('checksum', models.CharField(editable=False, max_length=64)),
                ('token_family', models.UUIDField(editable=False, null=True)),
                ('used_at', models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False)),
                ('application', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
            ],
        ),
        migrations.AddConstraint(
            model_name='conversation',
            constraint=models.UniqueConstraint(fields=('first', 'second'), name='one_conversation_of_two'),
        ),
        migrations.AddConstraint(
            model_name='conversation',
            constraint=models.CheckConstraint(condition=models.Q(('first__lt', models.F('second'))), name='two_in_the_order_of_ids'),
        ),
        migrations.AddConstraint(
            model_name='flowmembership',
            constraint=models.UniqueConstraint(fields=('flow', 'user'), name='one_flow_membership_per_user'),
        ),
        migrations.AddConstraint(
            model_name='invitation',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'pending')), fields=('flow', 'email'), name='one_pending_invitation_per_address'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('organization', 'user'), name='one_membership_per_user'),
        ),
        migrations.AddConstraint(
            model_name='flow',
            constraint=models.UniqueConstraint(fields=('organization', 'parameterized_name'), name='one_flow_per_address'),
        ),
        migrations.AddConstraint(
            model_name='privatemessage',
            constraint=models.UniqueConstraint(fields=('conversation', 'number'), name='one_private_message_per_number'),
        ),
        migrations.AddConstraint(
            model_name='privatemessage',
            constraint=models.UniqueConstraint(fields=('user', 'uuid'), name='one_private_message_per_uuid'),
        ),
        migrations.AddConstraint(
            model_name='attachment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('flow__isnull', False), ('private_message', None)), models.Q(('flow', None), ('message', None), ('private_message__isnull', False)), _connector='OR'), name='attachment_of_a_flow_or_in_private'),
        ),
        migrations.AddConstraint(
            model_name='privatetag',
            constraint=models.UniqueConstraint(fields=('name', 'message'), name='one_tag_per_private_message'),
        ),
        migrations.AddIndex(
            model_name='source',
            index=models.Index(condition=models.Q(('removed_at', None)), fields=['flow', 'id'], name='connected_sources'),
        ),
        migrations.AddConstraint(
            model_name='tag',
            constraint=models.UniqueConstraint(fields=('name', 'message'), name='one_tag_per_message'),
        ),
        migrations.AddIndex(
            model_name='thread',
            index=models.Index(fields=['flow', '-updated_at', '-id'], name='threads_newest_first'),
        ),
        migrations.AddIndex(
            model_name='thread',
            index=models.Index(fields=['source', '-updated_at', '-id'], name='threads_of_a_source'),
        ),
        migrations.AddIndex(
            model_name='thread',
            index=models.Index(fields=['flow', 'last_number'], name='threads_by_last_number'),
        ),
        migrations.AddIndex(
            model_name='thread',
            index=models.Index(fields=['flow', 'empty', 'source', 'status_value', 'status_color', 'activities', 'external_comments', 'last_number', 'updated_at', 'id'], name='threads_counted'),
        ),
        migrations.AddConstraint(
            model_name='thread',
            constraint=models.UniqueConstraint(fields=('source', 'external_thread_id'), name='one_thread_per_key_of_a_source'),
        ),
        migrations.AddConstraint(
            model_name='thread',
            constraint=models.UniqueConstraint(condition=models.Q(('source', None)), fields=('flow', 'external_thread_id'), name='one_thread_per_key_of_people'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['thread', 'number'], name='messages_of_a_thread'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['flow', 'event', 'number'], name='messages_by_event'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('thread', None)), fields=['flow', '-created_at', '-number'], name='messages_unanswered'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(fields=('flow', 'number'), name='one_message_per_number'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(fields=('source', 'uuid'), name='one_message_per_uuid_of_a_source'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(condition=models.Q(('source', None)), fields=('flow', 'user', 'uuid'), name='one_message_per_uuid_of_a_user'),
        ),
        migrations.AddConstraint(
            model_name='threadmark',
            constraint=models.UniqueConstraint(fields=('user', 'thread'), name='one_mark_per_user_and_thread'),
        ),
    ]
