"""Register, log in, refresh, log out and get the current user, with Simple JWT's own views.

After https://django-rest-framework-simplejwt.readthedocs.io/en/latest/getting_started.html. Logging
out blacklists the refresh token; an access token is valid until it expires.
"""

from django.contrib.auth.models import User
from django.urls import path
from rest_framework import generics, permissions, serializers
from rest_framework_simplejwt.views import (
    TokenBlacklistView,
    TokenObtainPairView,
    TokenRefreshView,
)


class NewUser(serializers.ModelSerializer):
    """A new account."""

    password = serializers.CharField(write_only=True)

    class Meta:
        """Its fields."""

        model = User
        fields = ("id", "username", "email", "password")

    def create(self, validated_data: dict[str, str]) -> User:
        """Create the account with a hashed password."""
        return User.objects.create_user(**validated_data)


class ShownUser(serializers.ModelSerializer):
    """An account in the responses to its owner."""

    class Meta:
        """Its fields."""

        model = User
        fields = ("id", "username", "email", "is_active", "is_staff", "date_joined")


class Register(generics.CreateAPIView):
    """Create an account."""

    authentication_classes = ()
    permission_classes = (permissions.AllowAny,)
    serializer_class = NewUser


class Status(generics.RetrieveAPIView):
    """Return the authenticated user."""

    serializer_class = ShownUser

    def get_object(self) -> User:
        """Return the user of the request."""
        return self.request.user


urlpatterns = [
    path("register", Register.as_view()),
    path("login", TokenObtainPairView.as_view()),
    path("refresh", TokenRefreshView.as_view()),
    path("logout", TokenBlacklistView.as_view()),
    path("status", Status.as_view()),
]
