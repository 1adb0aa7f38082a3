from django.db import migrations, models
from django.db.models import Max, OuterRef, Subquery


def count_what_is_there_as_read(apps, schema_editor):
    Thread = apps.get_model("flowdock_server", "Thread")
    Message = apps.get_model("flowdock_server", "Message")
    Flow = apps.get_model("flowdock_server", "Flow")
    FlowMembership = apps.get_model("flowdock_server", "FlowMembership")
    latest = Message.objects.filter(thread=OuterRef("pk")).order_by().values("thread").annotate(last=Max("number"))
    Thread.objects.filter(empty=False, messages__isnull=False).update(last_number=Subquery(latest.values("last")))
    number = Flow.objects.filter(pk=OuterRef("flow")).values("last_number")
    FlowMembership.objects.update(last_read_number=Subquery(number), inbox_read_number=Subquery(number))


class Migration(migrations.Migration):
    dependencies = [("flowdock_server", "0004_more_of_flowdock")]

    operations = [
        migrations.AddField(
            model_name="flowmembership",
            name="inbox_read_number",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="thread",
            name="last_number",
            field=models.BigIntegerField(default=0, help_text="Number of its latest message"),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["flow", "last_number"], name="threads_by_last_number"),
        ),
        migrations.RunPython(count_what_is_there_as_read, migrations.RunPython.noop),
    ]
