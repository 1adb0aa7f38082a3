from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0010_decide_later'),
    ]

    operations = [
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Its machine and process', max_length=200, unique=True)),
                ('started_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField(verbose_name='last seen')),
                ('is_breaker_open', models.BooleanField(default=False, help_text='Whether it only sends probes, because Flowdock does not respond', verbose_name='circuit breaker')),
            ],
        ),
    ]
